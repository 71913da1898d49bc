"""Cross-modal background suppression (CMBS), weakly and fully supervised.

Networks for audio-visual event localisation. There are no unused parameters; the number
of segments, the classes and the form of the visual features are free.

Source: Xia, Zhao, "Cross-Modal Background Suppression for Audio-Visual Event
Localization", CVPR 2022, and its published code.
"""

from vaplan.models.cmbs.network import FullCMBS, WeakCMBS
from vaplan.models.cmbs.settings import CMBSSettings, FullCMBSSettings

__all__ = ["CMBSSettings", "FullCMBS", "FullCMBSSettings", "WeakCMBS"]
