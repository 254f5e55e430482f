"""What the picture networks are put together from.  Tensors are (picture, channel, height, width)."""

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
except ImportError as error:
    raise ImportError("PyTorch is needed for the networks: pip install 'myomirror[torch]'") from error

INIT_DEVIATION = 0.02  # CycleGAN: weights N(0, 0.02), biases 0


class InstanceNorm(nn.Module):
    """Every channel of every picture to mean 0 and variance 1, without learned scale (Ulyanov et al. 2016).

    Always in float32, whatever comes in and goes out: sums over 65536 pixels are what half precision gets wrong.
    """

    epsilon = 1e-5

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W) of any float type.  Returns the same shape, type and memory format."""
        y = x.float()
        if x.is_cuda and x.is_contiguous(memory_format=torch.channels_last):
            return self.keeping_layout(y).to(x.dtype)
        return functional.instance_norm(y, eps=self.epsilon).to(x.dtype)

    def keeping_layout(self, y: Tensor) -> Tensor:
        """The same without PyTorch's detour through a channels-first copy.  y: (N, C, H, W) float32."""
        variance, mean = torch.var_mean(y, (2, 3), correction=0, keepdim=True)
        return (y - mean) * torch.rsqrt(variance + self.epsilon)


class ReflectConv(nn.Module):
    """A convolution that keeps height and width, seeing the picture mirrored at its edges."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        """kernel: odd, px."""
        super().__init__()
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.conv = nn.Conv2d(channels_in, channels_out, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, channels_in, H, W), H and W > kernel // 2.  Returns (N, channels_out, H, W)."""
        y: Tensor = self.conv(self.pad(x))
        return y


class UpConv(nn.Module):
    """Twice the height and width: nearest neighbour, then a 3 x 3 convolution (no checkerboard, Odena et al. 2016)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv = ReflectConv(channels_in, channels_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, channels_in, H, W).  Returns (N, channels_out, 2 H, 2 W)."""
        y: Tensor = self.conv(self.up(x))
        return y


class ResidualBlock(nn.Module):
    """x plus two normalised 3 x 3 convolutions of x, nothing after the sum (Johnson et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(ReflectConv(channels, channels, 3), InstanceNorm(), nn.ReLU(inplace=True))
        self.second = nn.Sequential(ReflectConv(channels, channels, 3), InstanceNorm())

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, channels, H, W).  Returns the same shape."""
        y: Tensor = x + self.second(self.first(x))
        return y


def initialise(network: nn.Module, seed: int) -> None:
    """Fill all convolutions as CycleGAN does: weights N(0, 0.02), biases 0.  The same seed gives the same numbers."""
    numbers = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, INIT_DEVIATION, numbers)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
