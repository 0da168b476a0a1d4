"""The peers that reconstruct as well: a sliced-Wasserstein autoencoder and Soft-IntroVAE."""
import torch
import torch.nn.functional as F
from torch import nn

from gans import widths_of


def to_unit(x):
    return (x + 1) / 2


class Swae(nn.Module):
    """Kolouri et al. 2018, section 4, and its authors' and eifuentes/swae-pytorch's code: cross entropy + absolute error
    + 10 times the sliced Wasserstein distance of the codes to the prior, 50 projections, RMSprop 1e-3 with alpha 0.9.
    Their priors on a plane cannot hold these sets: N(0, 1) in 64 dimensions, as SAN's. Batch 500 as published: the
    distance of 64 codes is mostly noise. To be reached: the samples of a plain autoencoder with a matched prior, which
    are blurred (their figures 5 and 6)."""

    batch = 500
    reconstructs = True

    def __init__(self, size, channels, width):
        super().__init__()
        self.latent = 64
        widths = widths_of(size, width)
        encoder, inputs = [], channels
        for outputs in widths[::-1]:
            encoder += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.encoder = nn.Sequential(*encoder, nn.Flatten(), nn.Linear(inputs * 16, self.latent))
        decoder = [nn.Linear(self.latent, widths[0] * 16), nn.ReLU(), nn.Unflatten(1, (widths[0], 4, 4))]
        for inputs, outputs in zip(widths, widths[1:]):
            decoder += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        decoder.append(nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1))
        self.decoder = nn.Sequential(*decoder)
        self.optimizers = [torch.optim.RMSprop(self.parameters(), lr=1e-3, alpha=0.9)]

    def latents(self, count, generator=None):
        return torch.randn(count, self.latent, generator=generator)

    def step(self, next_images):
        x = to_unit(next_images())
        codes = self.encoder(x)
        logits = self.decoder(codes)
        directions = F.normalize(torch.randn(self.latent, 50), dim=0)
        prior = self.latents(len(x)) @ directions
        distance = ((codes @ directions).sort(0).values - prior.sort(0).values).square().mean()
        error = F.binary_cross_entropy_with_logits(logits, x) + F.l1_loss(torch.sigmoid(logits), x)
        (optimizer,) = self.optimizers
        optimizer.zero_grad(set_to_none=True)
        (error + 10 * distance).backward()
        optimizer.step()
        return {"error": error.detach(), "distance": distance.detach()}

    def generate(self, z):
        return torch.sigmoid(self.decoder(z)) * 2 - 1

    def reconstruct(self, x):
        return self.generate(self.encoder(to_unit(x)))


class Residual(nn.Module):
    """Batch norm on the second convolution, not on the sum; 1×1 on the way past when the widths differ."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.past = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)
        self.inner = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.leaky_relu(self.inner(x) + self.past(x), 0.2)


class SoftIntroVae(nn.Module):
    """Daniel and Tamar 2021, section 4 and appendix; taldatech/soft-intro-vae-pytorch, soft_intro_vae/README.md, the row
    fmnist: beta_rec 1, beta_kl 1, beta_neg 256, gamma_r 1e-8, latent of 32 (colour: row monsters128, latent of 128),
    batch 128 (colour: 16), Adam 2e-4, no warm-up as a plain VAE. To be reached: CIFAR-10 at Inception FID 4.6 after 250
    epochs with 64-128-256 channels (their table 2); Fashion-MNIST is shown there as pictures only."""

    reconstructs = True
    beta_rec, beta_kl, beta_neg, gamma = 1.0, 1.0, 256.0, 1e-8

    def __init__(self, size, channels, width):
        super().__init__()
        colour = channels == 3
        self.latent, self.batch = (128, 16) if colour else (32, 128)
        if colour:
            self.beta_rec = self.beta_kl = 0.2
        self.scale = 1 / (channels * size * size)
        widths = widths_of(size, width)
        encoder = [nn.Conv2d(channels, widths[-1], 5, 1, 2, bias=False), nn.BatchNorm2d(widths[-1]), nn.LeakyReLU(0.2),
                   nn.AvgPool2d(2)]
        inputs = widths[-1]
        for outputs in widths[-2::-1]:
            encoder += [Residual(inputs, outputs), nn.AvgPool2d(2)]
            inputs = outputs
        encoder += [Residual(inputs, inputs), nn.Flatten(), nn.Linear(inputs * 16, 2 * self.latent)]
        self.encoder = nn.Sequential(*encoder)
        decoder = [nn.Linear(self.latent, widths[0] * 16), nn.ReLU(), nn.Unflatten(1, (widths[0], 4, 4))]
        inputs = widths[0]
        for outputs in widths:
            decoder += [Residual(inputs, outputs), nn.Upsample(scale_factor=2)]
            inputs = outputs
        decoder += [Residual(inputs, inputs), nn.Conv2d(inputs, channels, 5, 1, 2)]
        self.decoder = nn.Sequential(*decoder)
        self.optimizers = [torch.optim.Adam(net.parameters(), lr=2e-4) for net in (self.encoder, self.decoder)]

    latents = Swae.latents

    def encode(self, x):
        """-> mean, log variance, a draw"""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance, mean + (log_variance / 2).exp() * torch.randn_like(mean)

    @staticmethod
    def divergence(mean, log_variance):
        return -0.5 * (1 + log_variance - log_variance.exp() - mean.square()).sum(1)

    @staticmethod
    def error(a, b):
        return (a - b).square().flatten(1).sum(1)

    def elbo_of_fake(self, fake):
        """exp(2 · ELBO) of generated images, which the encoder lowers."""
        mean, log_variance, z = self.encode(fake)
        terms = self.beta_rec * self.error(fake, self.decoder(z)) + self.beta_neg * self.divergence(mean, log_variance)
        return (-2 * self.scale * terms).exp().mean()

    def step(self, next_images):
        x = to_unit(next_images())
        of_e, of_d = self.optimizers
        noise = self.latents(len(x))

        self.decoder.requires_grad_(False)
        mean, log_variance, z = self.encode(x)
        again = self.decoder(z)
        with torch.no_grad():
            fake = self.decoder(noise)
        error, kl = self.error(x, again).mean(), self.divergence(mean, log_variance).mean()
        loss = self.scale * (self.beta_rec * error + self.beta_kl * kl)
        loss = loss + 0.25 * (self.elbo_of_fake(again.detach()) + self.elbo_of_fake(fake))
        of_e.zero_grad(set_to_none=True)
        loss.backward()
        of_e.step()
        self.decoder.requires_grad_(True)

        self.encoder.requires_grad_(False)
        again, fake = self.decoder(z.detach()), self.decoder(noise)
        total = self.beta_rec * self.error(x, again).mean()
        for image in (again, fake):
            mean, log_variance, code = self.encode(image)
            total = total + 0.5 * self.beta_kl * self.divergence(mean, log_variance).mean()
            total = total + 0.5 * self.gamma * self.error(image.detach(), self.decoder(code.detach())).mean()
        of_d.zero_grad(set_to_none=True)
        (self.scale * total).backward()
        of_d.step()
        self.encoder.requires_grad_(True)
        return {"error": error.detach(), "divergence": kl.detach()}

    def generate(self, z):
        return self.decoder(z) * 2 - 1

    def reconstruct(self, x):
        mean, _ = self.encoder(to_unit(x)).chunk(2, 1)
        return self.generate(mean)
