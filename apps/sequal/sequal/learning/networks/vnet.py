"""V-Net and V-Net with a ResNet-34 encoder, the two networks of S2, from MONAI's blocks."""

from itertools import pairwise
from typing import Final, Literal

from monai.networks.blocks import Convolution
from monai.networks.layers.factories import Conv, Dropout
from monai.networks.nets.resnet import ResNetBlock
from torch import Tensor, nn

__all__ = ["Encoder", "VNet"]

Encoder = Literal["convolutions", "resnet34"]

#: Convolutions at each level of the encoder, and of the decoder from the deepest level upwards.
_ENCODER: Final = (1, 2, 3, 3, 3)
_DECODER: Final = (3, 3, 2, 1)
#: Residual blocks of a ResNet-34.
_RESNET34: Final = (3, 4, 6, 3)


class VNet(nn.Module):
    """V-Net as the semi-supervised literature on the Left Atrium uses it: 3 × 3 (× 3) kernels and added skips.

    With 16 filters, one channel and two classes in 3-D it has the 9.4 million parameters that the field reports (Wu et
    al., MC-Net+, Med. Image Anal. 2022). `monai.networks.nets.VNet` follows the first publication (Milletari et al.,
    3DV 2016) instead: kernels of 5, fixed widths, and only as many maps as classes before the last layer, which leaves
    nothing to contrast.

    With the encoder `resnet34`, four stages of 3, 4, 6 and 3 residual blocks (He et al., CVPR 2016) stand for the four
    lower levels of the encoder; the decoder is the same.

    Args:
        spatial_dims: 2 or 3.
        in_channels: of the image.
        classes: channels of the logits, background included.
        filters: feature maps of the first level; each of the four lower ones has twice as many as the one above it.
        encoder: what the lower levels are made of.
        dropout: part of the channels that is left out in training, at the deepest level and before the last layer.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        filters: int = 16,
        encoder: Encoder = "convolutions",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(len(_ENCODER))]
        stages = [_convolutions(spatial_dims, in_channels, filters, _ENCODER[0])]
        for level in range(1, len(widths)):
            fine, coarse = widths[level - 1], widths[level]
            if encoder == "resnet34":
                stages.append(_residual_blocks(spatial_dims, fine, coarse, _RESNET34[level - 1]))
            else:
                down = _scaling(spatial_dims, fine, coarse, up=False)
                stages.append(nn.Sequential(down, _convolutions(spatial_dims, coarse, coarse, _ENCODER[level])))
        self.stages = nn.ModuleList(stages)
        upwards = list(reversed(widths))
        self.ups = nn.ModuleList(_scaling(spatial_dims, coarse, fine, up=True) for coarse, fine in pairwise(upwards))
        self.blocks = nn.ModuleList(
            _convolutions(spatial_dims, width, width, count) for width, count in zip(upwards[1:], _DECODER, strict=True)
        )
        self.deep_dropout = Dropout[Dropout.DROPOUT, spatial_dims](dropout)
        self.last_dropout = Dropout[Dropout.DROPOUT, spatial_dims](dropout)
        self.last = Conv[Conv.CONV, spatial_dims](filters, classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes, *spatial) of x (B, in_channels, *spatial), whose sides are multiples of 16."""
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        x = self.deep_dropout(skips.pop())
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = block(up(x) + skips.pop())
        logits: Tensor = self.last(self.last_dropout(x))
        return logits


def _convolutions(spatial_dims: int, in_channels: int, out_channels: int, count: int) -> nn.Module:
    return nn.Sequential(
        *(_layer(spatial_dims, out_channels if index else in_channels, out_channels) for index in range(count))
    )


def _scaling(spatial_dims: int, in_channels: int, out_channels: int, *, up: bool) -> nn.Module:
    return _layer(
        *(spatial_dims, in_channels, out_channels),
        kernel_size=2,
        strides=2,
        padding=0,
        is_transposed=up,
        output_padding=0 if up else None,
    )


def _layer(spatial_dims: int, in_channels: int, out_channels: int, **kwargs: object) -> nn.Module:
    layer: nn.Module = Convolution(
        spatial_dims, in_channels, out_channels, adn_ordering="NA", act="relu", norm="batch", bias=False, **kwargs
    )
    return layer


def _residual_blocks(spatial_dims: int, in_channels: int, out_channels: int, count: int) -> nn.Module:
    shortcut = Convolution(
        *(spatial_dims, in_channels, out_channels), kernel_size=1, strides=2, act=None, norm="batch", bias=False
    )
    first = ResNetBlock(in_channels, out_channels, spatial_dims, stride=2, downsample=shortcut)
    others = (ResNetBlock(out_channels, out_channels, spatial_dims) for _ in range(count - 1))
    return nn.Sequential(first, *others)
