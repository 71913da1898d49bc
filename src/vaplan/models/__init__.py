"""Parser networks: `forward(Inputs) -> Prediction`.

`MODELS` names, for each network, its settings (a frozen dataclass) and how to build it from them,
the sizes of its feature streams and the number of classes: `build(settings, feature_sizes=…,
classes=…)`. Put your own network there under a name of its own, and recipes can name it.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from vaplan.models.ave_attention import AVEAttention, AVEAttentionSettings
from vaplan.models.cmbs import CMBSSettings, FullCMBS, FullCMBSSettings, WeakCMBS
from vaplan.models.han import HAN, HANSettings

MODELS: dict[str, tuple[type[Any], Callable[..., nn.Module]]] = {
    "han": (HANSettings, HAN),
    "cmbs": (CMBSSettings, WeakCMBS),
    "cmbs_full": (FullCMBSSettings, FullCMBS),
    "ave_attention": (AVEAttentionSettings, AVEAttention),
}
