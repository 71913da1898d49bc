"""A recurrent layer that skips the segments that do not exist."""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class BiLSTM(nn.Module):
    """Bidirectional LSTM over the existing segments of a video; zero for other segments.

    Args:
        size: Size of the features.
        hidden: Size of the output, both directions together.
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            input_size=size,
            hidden_size=hidden // 2,
            batch_first=True,
            bidirectional=True,
        )

    def forward(
        self,
        stream: Float[Tensor, "video time feature"],
        present: Bool[Tensor, "video time"],
    ) -> Float[Tensor, "video time hidden"]:
        """Read the segments that are present, forwards and backwards."""
        if present.all():
            output: Tensor = self.lstm(stream)[0]
            return output
        absent = ~present
        existing_first = absent.int().argsort(dim=1, stable=True)[..., None]
        original_order = existing_first.argsort(dim=1)
        lengths = present.sum(dim=1).clamp(min=1).cpu()
        packed_input = pack_padded_sequence(
            stream.take_along_dim(existing_first, 1),
            lengths,
            batch_first=True,
            enforce_sorted=False,
        )
        packed_output, _ = self.lstm(packed_input)
        output, _ = pad_packed_sequence(
            packed_output, batch_first=True, total_length=present.shape[1]
        )
        output = output.take_along_dim(original_order, 1)
        return output.masked_fill(absent[..., None], 0)
