"""Parser networks: `forward(Inputs) -> Prediction`.

`MODELS` maps the name of a network to its settings (a frozen dataclass) and to a function
that builds it: `build(settings, feature_sizes=…, classes=…)`. Add your own network under
a new name, and recipes can use it.
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
