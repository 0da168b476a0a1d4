"""Training steps in PyTorch: specification, sections 2 and 3. Cycle pairing, estimator `normal`, repulsion, LLZ, penalty."""
import os

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import san
import worker


class Trainer:
    def __init__(self, options):
        config = options["config"]
        known = config["pairing"] == "cycle" and config["estimator"] == "normal" and config["repulsionWeight"] > 0
        if not known:
            raise ValueError("this peer knows cycle pairing, the normal estimator and repulsion alone")
        self.config = config
        self.options = options
        self.device, self.dtype = san.place(options)
        self.batch = config["batchSize"]
        tensors = san.load(options["weights"], device=self.device)
        self.generator = san.parameters_of(tensors, "generator")
        self.reverser = san.parameters_of(tensors, "reverser")
        for tensor in (*self.generator.values(), *self.reverser.values()):
            tensor.requires_grad_(True)
        # The reverser's parameters again, in the same memory.
        self.fake = {name: t.detach().requires_grad_(True) for name, t in self.reverser.items()}
        san.keep_in_place((*self.generator.values(), *self.reverser.values(), *self.fake.values()))
        self.average = [t.detach().clone() for t in self.generator.values()]
        shared = [name for name in self.generator if name.startswith("kernel.")]
        self.kernels_g = [self.generator[name].detach() for name in shared]
        self.kernels_r = [self.reverser[name].detach() for name in shared]
        # Held to what draws no checkerboards, as the setting asks; the moving average follows them.
        doubling = [f"kernel.m{m}.b0" for m, s in enumerate(config["strides"]) if s == 2][-2:]
        if not config["checkerboardFree"]:
            doubling = []
        self.doubling = [self.generator[name].detach() for name in doubling]
        self.projection = san.polyphase_projection().to(self.device)
        trained = [*self.generator.items(), *self.reverser.items()]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [t for name, t in trained if not name.endswith("bias")], "weight_decay": config["weightDecay"]},
                {"params": [t for name, t in trained if name.endswith("bias")], "weight_decay": 0.0},
            ],
            lr=config["learningRate"], betas=(0.5, 0.99), eps=1e-8, fused=True)
        self.quantiles = san.quantiles(self.batch, self.device)
        self.axes = torch.eye(san.latent_numbers(config), device=self.device)
        self.ema_rate = 1 - san.decay_of(config)
        size, channels = config["imageSize"], config["imageChannels"]
        pixels = numpy.fromfile(options["images"], numpy.uint8).reshape(-1, size, size, channels)
        self.images = torch.from_numpy(pixels).to(self.device)
        self.order = torch.empty(0, dtype=torch.long)
        self.steps, self.penalty_weight = 0, config["penaltyWeight"]
        self.generate, self.reverse, self.loss = san.generate, san.reverse, self.losses

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def losses(self, g, r, r_fake, z, x, directions):
        """G's loss and LRX in one sum, the losses lgd, lgi and lrx, and the generated images.

        r_fake are the reverser's parameters again: through R(G(Z)) its gradient enters with a weight of its own.
        """
        c = self.config
        with self.autocast():
            rx = self.reverse(r, c, x).float()
            generated = self.generate(g, c, torch.cat([z, rx])).float()
            fake, again = generated[: self.batch], generated[self.batch :]
            back = self.reverse(r_fake, c, fake).float()
        lgd = san.wd_normal(back, directions, self.quantiles)
        lrx = san.wd_normal(rx, directions, self.quantiles)
        lgi = san.image_error(again - x, c["lgiScales"])
        total = c["wGD"] * lgd + c["wGI"] * lgi + c["wRX"] * lrx
        if c["wLZ"] > 0:
            total = total + c["wLZ"] * F.mse_loss(back, z)
        return total, lgd, lgi, lrx, fake.detach()

    def penalty(self, r, x, fake):
        """The gradient penalty on R, between real and generated images, which are detached, or (r1) at real ones."""
        c = self.config
        r1 = c["penaltyForm"] == "r1"
        e = torch.rand(len(x), 1, 1, 1, device=self.device)
        between = (x.detach().clone() if r1 else torch.lerp(fake, x, e)).requires_grad_(True)
        with self.autocast():
            # Never compiled: torch.compile does not differentiate twice.
            back = san.reverse(r, c, between).float().flatten(1)
        directions = F.normalize(torch.randn_like(back), dim=1)
        (slope,) = torch.autograd.grad((back * directions).sum(), between, create_graph=True)
        slope = slope.flatten(1)
        penalty = slope.square().sum(dim=1) if r1 else (slope.norm(dim=1) - 1).square()
        return self.penalty_weight * c["penaltyEvery"] * penalty.mean()

    def step(self, z, x, directions):
        c = self.config
        on_gpu = self.device.type == "cuda"
        if on_gpu and self.options["compile"]:
            torch.compiler.cudagraph_mark_step_begin()
        g, r = list(self.generator.values()), list(self.reverser.values())
        fake = self.fake
        total, lgd, lgi, lrx, images = self.loss(self.generator, self.reverser, fake, z, x, directions)
        has_llz = c["wLZ"] > 0
        gradients = torch.autograd.grad(total, [*g, *r, *fake.values()], retain_graph=has_llz)
        of_g, of_r, of_fake = gradients[: len(g)], gradients[len(g) : len(g) + len(r)], gradients[len(g) + len(r) :]
        # Repulsion: its derivative in the place of wGD.
        distance, margin = lgd.detach(), c["repulsionMargin"]
        strength = (-distance / margin).exp() if c["repulsionForm"] == "exponential" else (distance < margin).float()
        if has_llz:
            # LLZ weighs the same in both losses, the distance does not: its share is taken out, and repulsion put in.
            of_distance = torch.autograd.grad(lgd, list(fake.values()))
            torch._foreach_add_(of_r, of_fake)
            of_fake, factor = of_distance, -c["wGD"] - c["repulsionWeight"] * strength
        else:
            factor = -c["repulsionWeight"] / c["wGD"] * strength
        if on_gpu:  # without a look at the distance, which would wait for the device
            torch._foreach_add_(of_r, torch._foreach_mul(of_fake, factor))
        elif factor.item() != 0:
            torch._foreach_add_(of_r, of_fake, alpha=factor.item())
        if self.penalty_weight > 0 and self.steps % c["penaltyEvery"] == 0:
            of_penalty = torch.autograd.grad(self.penalty(self.reverser, x, images), r, allow_unused=True)
            touched = [(g, p) for g, p in zip(of_r, of_penalty) if p is not None]
            torch._foreach_add_([g for g, _ in touched], [p for _, p in touched])
        self.steps += 1
        for parameter, gradient in zip((*g, *r), (*of_g, *of_r)):
            parameter.grad = gradient
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.kernels_g, self.kernels_r, 1 - c["lambda"])
            for kernel in self.doubling:
                kernel.copy_((kernel.flatten(2) @ self.projection).view_as(kernel))
            torch._foreach_copy_(self.kernels_r, self.kernels_g)
            torch._foreach_lerp_(self.average, g, self.ema_rate)
        return {"lgd": lgd, "lrz": lgd, "lgi": lgi, "lrx": lrx}

    def next_images(self):
        if len(self.order) < self.batch:
            self.order = torch.randperm(len(self.images))
        indices, self.order = self.order[: self.batch], self.order[self.batch :]
        return san.from_bytes(self.images[indices.to(self.device, non_blocking=True)])

    def next_step(self):
        c = self.config
        shape = (self.batch, c["latentChannels"], c["latentSize"], c["latentSize"])
        z = torch.randn(shape, device=self.device)
        directions = san.draw_directions(san.latent_numbers(c), c["projections"], self.axes)
        return self.step(z, self.next_images(), directions)


def compile_whole(trainer):
    trainer.loss = san.compiled(trainer.losses, trainer.options, fullgraph=True)


def compile_networks(trainer):
    trainer.generate = san.compiled(san.generate, trainer.options)
    trainer.reverse = san.compiled(san.reverse, trainer.options)
    trainer.loss = trainer.losses


def first_steps(options, prepare):
    """On fixed inputs, and without the penalty, whose inputs each program draws for itself."""
    trainer = Trainer(options)
    prepare(trainer)
    trainer.penalty_weight = 0
    fixed = {name: t.to(trainer.device) for name, t in load_file(options["inputs"]).items()}
    x = fixed["x"].contiguous(memory_format=torch.channels_last)
    losses = []
    for _ in range(options["checked_steps"]):
        found = trainer.step(fixed["z"], x, fixed["directions"])
        losses.append({name: loss.item() for name, loss in found.items()})
    trainer.steps, trainer.penalty_weight = 0, options["config"]["penaltyWeight"]
    return trainer, losses


def open_peer(options):
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = options["cache"]
    how = "eager, channels-last"
    if options["compile"] and options["config"]["wLZ"] > 0:
        # With LLZ a second backward pass goes through R(G(Z)) alone; one through the whole loss would cost twice as much.
        how = "the two networks compiled"
        trainer, losses = first_steps(options, compile_networks)
    elif options["compile"]:
        try:
            how = "the whole loss compiled"
            trainer, losses = first_steps(options, compile_whole)
        except Exception as error:
            torch._dynamo.reset()
            how = f"the two networks compiled, for compiling the whole loss failed ({type(error).__name__})"
            trainer, losses = first_steps(options, compile_networks)
    else:
        trainer, losses = first_steps(options, lambda _: None)

    def work(items):
        steps = -(-items // trainer.batch)
        for _ in range(steps):
            trainer.next_step()
        san.finish(trainer.device)
        return steps * trainer.batch

    facts = {"torch": torch.__version__, "how": how, "losses": losses}
    return facts, work, lambda: san.peak_memory(trainer.device)


if __name__ == "__main__":
    worker.serve(open_peer)
