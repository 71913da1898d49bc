"""Weights of the published network, from a file that the test makes."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.models.test_han import published_inputs
from tests.oracles.han import official_modules
from vaplan.errors import RunError
from vaplan.models.han import HAN, HANSettings
from vaplan.models.official import load_official

NAMES = {
    "classify": "fc_prob",
    "time": "fc_frame_att",
    "modality": "fc_av_att",
    "audio": "fc_a",
    "appearance": "fc_v",
    "motion": "fc_st",
    "fusion": "fc_fusion",
    "own": "hat_encoder.layers.0.self_attn",
    "cross": "hat_encoder.layers.0.cm_attn",
    "expand": "hat_encoder.layers.0.linear1",
    "contract": "hat_encoder.layers.0.linear2",
    "norm1": "hat_encoder.layers.0.norm1",
    "norm2": "hat_encoder.layers.0.norm2",
}
UNUSED = {"hat_encoder.norm1.weight", "audio_encoder.layers.0.linear1.bias"}


@pytest.fixture(scope="module")
def published():
    """The tensors of the published network under its own names, two of the unused ones among them."""
    with torch.random.fork_rng():
        modules = official_modules(seed=1)
    tensors = {
        f"{NAMES[m]}.{k}": v
        for m, module in modules.items()
        for k, v in module.state_dict().items()
    }
    return tensors | {name: torch.ones(3) for name in UNUSED}


def network(**settings):
    return HAN(
        HANSettings(**settings), feature_sizes=((128,), (2048, 512)), classes=25
    ).eval()


def test_published_weights_give_published_values_and_unused_tensors_are_named(
    published, tmp_path
):
    save_file(published, tmp_path / "MMIL_Net.safetensors")
    model = network()
    assert set(load_official(model, tmp_path / "MMIL_Net.safetensors")) == UNUSED
    with torch.no_grad():
        prediction = model(published_inputs())
    assert prediction.video[0, :3].tolist() == pytest.approx(
        [0.472919, 0.531535, 0.503198], abs=1e-5
    )


def test_a_network_without_cross_attention_does_not_load_its_weights(
    published, tmp_path
):
    save_file(published, tmp_path / "w.safetensors")
    dropped = set(
        load_official(network(cross_attention=False), tmp_path / "w.safetensors")
    )
    assert {name for name in published if ".cm_attn." in name} == dropped - UNUSED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc_v.bias": None}, r"fc_v.bias is missing, expected \(512,\)"),
        (
            {"fc_prob.weight": torch.ones(29, 512)},
            r"fc_prob.weight is of shape \(29, 512\), expected \(25, 512\)",
        ),
        (
            {"fc_a.bias": torch.full((512,), float("nan"))},
            "fc_a.bias contains values that are not finite",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_leave_the_network_as_it_was(
    published, tmp_path, change, message
):
    tensors = {
        name: tensor
        for name, tensor in (published | change).items()
        if tensor is not None
    }
    save_file(tensors, tmp_path / "w.safetensors")
    model = network()
    before = nn.utils.parameters_to_vector(model.parameters()).clone()
    with pytest.raises(RunError, match=message):
        load_official(model, tmp_path / "w.safetensors")
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), before)


def test_a_network_of_another_form_or_a_file_of_another_kind_is_refused(
    published, tmp_path
):
    save_file(published, tmp_path / "w.safetensors")
    with pytest.raises(RunError, match="the published network has no last_norms"):
        load_official(network(norm="pre"), tmp_path / "w.safetensors")
    (tmp_path / "pickle.pt").write_bytes(b"not this")
    with pytest.raises(RunError, match="no safetensors"):
        load_official(network(), tmp_path / "pickle.pt")
