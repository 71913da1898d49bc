"""CMBS: cross-modal background suppression for audio-visual event localisation, weakly and fully
supervised.

Source: Xia, Zhao, "Cross-Modal Background Suppression for Audio-Visual Event Localization", CVPR
2022, and the code published with it. No unused parameters are kept; lengths, classes and the form
of the visual features are free.
"""

from vaplan.models.cmbs.network import FullCMBS, WeakCMBS
from vaplan.models.cmbs.settings import CMBSSettings, FullCMBSSettings

__all__ = ["CMBSSettings", "FullCMBS", "FullCMBSSettings", "WeakCMBS"]
