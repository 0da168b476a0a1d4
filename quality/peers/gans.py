"""The peers that only generate: DCGAN and WGAN-GP. `width` scales all layers; every image size is 4 times a power of 2."""
import torch
import torch.nn.functional as F
from torch import nn


def widths_of(size, width):
    """Channels from 4×4 pixels to half of `size`, halved at each doubling."""
    stages = (size // 4).bit_length() - 1
    return [width * 2 ** (stages - 1 - i) for i in range(stages)]


def generator(size, channels, latent, width):
    """(B, latent, 1, 1) -> (B, channels, size, size) in [-1, 1]; Radford et al. 2016, figure 1 and section 3."""
    widths = widths_of(size, width)
    layers = [nn.ConvTranspose2d(latent, widths[0], 4, 1, 0, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh()]
    return nn.Sequential(*layers)


def discriminator(size, channels, width, norm):
    """(B, channels, size, size) -> (B); with batch norm but on the first layer (DCGAN), or without any (WGAN-GP)."""
    widths = widths_of(size, width)[::-1]
    layers = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
    for inputs, outputs in zip(widths, widths[1:]):
        layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm))
        if norm:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.LeakyReLU(0.2))
    layers += [nn.Conv2d(widths[-1], 1, 4, 1, 0), nn.Flatten(0)]
    return nn.Sequential(*layers)


def initialise(network):
    """Radford et al. 2016, section 4: normal with deviation 0.02; batch norm's scale around 1."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.02)


class Dcgan(nn.Module):
    """Radford et al. 2016, section 4: latent of 100, Adam 2e-4 with beta1 0.5; the loss is Goodfellow et al. 2014's
    non-saturating one. Batch 64 rather than 128, as SAN's. To be reached: Lucic et al. 2018 ("Are GANs created
    equal?") give this loss an Inception FID on Fashion-MNIST of about 26 at 28×28 with a larger network, tuned over
    100 settings; another feature space, so a check of order among models only."""

    batch = 64
    reconstructs = False

    def __init__(self, size, channels, width):
        super().__init__()
        self.latent = 100
        self.generator = generator(size, channels, self.latent, width)
        self.discriminator = discriminator(size, channels, width, norm=True)
        initialise(self)
        adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.optimizers = [torch.optim.Adam(net.parameters(), **adam) for net in (self.generator, self.discriminator)]

    def latents(self, count, generator=None):
        return torch.randn(count, self.latent, 1, 1, generator=generator)

    def step(self, next_images):
        """One update of each network; next_images() -> (B, C, S, S) in [-1, 1]. -> losses, on the device, so that
        no step waits for it"""
        x = next_images()
        of_g, of_d = self.optimizers
        fake = self.generator(self.latents(len(x)))
        # Real and generated images apart, since batch norm sees what is in a batch.
        loss_d = F.softplus(-self.discriminator(x)).mean() + F.softplus(self.discriminator(fake.detach())).mean()
        of_d.zero_grad(set_to_none=True)
        loss_d.backward()
        of_d.step()
        loss_g = F.softplus(-self.discriminator(fake)).mean()
        of_g.zero_grad(set_to_none=True)
        loss_g.backward()
        of_g.step()
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}

    def generate(self, z):
        return self.generator(z)


class WganGp(nn.Module):
    """Gulrajani et al. 2017, algorithm 1: five critic steps a generator step, penalty 10, Adam 1e-4 with betas (0, 0.9),
    batch 64, no batch norm in the critic; layers as DCGAN's (their section 5.1). Images seen count the critic's. To be
    reached: Lucic et al. 2018 give an Inception FID on Fashion-MNIST of about 25, a little below the loss above."""

    batch = 64
    reconstructs = False
    critic_steps = 5

    def __init__(self, size, channels, width):
        super().__init__()
        self.latent = 128
        self.generator = generator(size, channels, self.latent, width)
        self.critic = discriminator(size, channels, width, norm=False)
        initialise(self)
        adam = {"lr": 1e-4, "betas": (0.0, 0.9)}
        self.optimizers = [torch.optim.Adam(net.parameters(), **adam) for net in (self.generator, self.critic)]

    latents = Dcgan.latents

    def step(self, next_images):
        of_g, of_c = self.optimizers
        for _ in range(self.critic_steps):
            x = next_images()
            with torch.no_grad():
                fake = self.generator(self.latents(len(x)))
            e = torch.rand(len(x), 1, 1, 1)
            between = (e * x + (1 - e) * fake).requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
            distance = self.critic(x).mean() - self.critic(fake).mean()
            penalty = 10 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()
            of_c.zero_grad(set_to_none=True)
            (penalty - distance).backward()
            of_c.step()
        loss_g = -self.critic(self.generator(self.latents(len(x)))).mean()
        of_g.zero_grad(set_to_none=True)
        loss_g.backward()
        of_g.step()
        return {"distance": distance.detach(), "penalty": penalty.detach()}

    def generate(self, z):
        return self.generator(z)
