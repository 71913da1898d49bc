"""A recurrent layer that passes over segments that do not exist."""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class BiLSTM(nn.Module):
    """Read the existing segments of a video forwards and backwards, half of `hidden` each; zero
    where there is none."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, hidden // 2, batch_first=True, bidirectional=True)

    def forward(
        self,
        stream: Float[Tensor, "video time feature"],
        present: Bool[Tensor, "video time"],
    ) -> Float[Tensor, "video time hidden"]:
        if present.all():
            output: Tensor = self.lstm(stream)[0]
            return output
        order = (
            (~present).int().argsort(dim=1, stable=True)[..., None]
        )  # the existing segments first
        lengths = present.sum(dim=1).clamp(min=1).cpu()
        packed = pack_padded_sequence(
            stream.take_along_dim(order, 1),
            lengths,
            batch_first=True,
            enforce_sorted=False,
        )
        read = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=present.shape[1]
        )[0]
        return read.take_along_dim(order.argsort(dim=1), 1).masked_fill(
            ~present[..., None], 0
        )
