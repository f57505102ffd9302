"""The faults of run.py: what to replace by what in which file, and the tests that must fail then."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """One fault."""

    file: str
    old: str
    """Stands exactly once in the file."""
    new: str
    tests: str
    """Arguments of pytest, by spaces apart."""


LAYERS = [
    Mutation(
        "asymkit/layers.py",
        "kernel_size=3, padding=1, bias=bias)\n\n    def",
        "kernel_size=3, padding=1)\n\n    def",
        "tests/test_label_generators.py::test_convolutions_have_no_biases",
    ),
    Mutation(
        "asymkit/layers.py", "scale = 1 + widen(self.gamma(z))", "scale = widen(self.gamma(z))", "tests/test_norm.py"
    ),
    Mutation("asymkit/layers.py", "1 + widen(self.gamma(z))", "1 + self.gamma(z)", "tests/test_norm.py"),
    Mutation("asymkit/layers.py", "kernel.transpose(0, 1).flip(2, 3)", "kernel.transpose(0, 1)", "asymkit/layers.py"),
    Mutation(
        "asymkit/layers.py",
        "output_padding=4 - kernel_size",
        "output_padding=0",
        "tests/test_generators.py::test_generators_keep_the_size",
    ),
    Mutation(
        "asymkit/layers.py",
        "F.relu(self.mix(concat_planes(x, planes)))",
        "self.mix(concat_planes(x, planes))",
        "tests/test_generators.py::test_z_changes_the_output_at_initialisation",
    ),
    Mutation(
        "asymkit/layers.py",
        "replicate_pad(x)",
        "F.pad(x, (1, 1, 1, 1))",
        "tests/test_generators.py::test_resize_convolution_is_nearest_upsampling_and_a_convolution",
    ),
    Mutation(
        "asymkit/layers.py",
        "bias=False)\n    padding =",
        "bias=True)\n    padding =",
        "tests/test_dual.py::test_full_sharing_is_stargan",
    ),
    Mutation(
        "asymkit/blocks.py",
        "self.norm2(self.conv2(hidden), residual=x)",
        "self.norm2(self.conv2(hidden))",
        "tests/test_checkpoints.py",
    ),
    Mutation(
        "asymkit/blocks.py",
        "self.norm2(self.conv2(hidden), z, residual=x)",
        "self.norm2(self.conv2(hidden), z)",
        "tests/test_blocks.py::test_a_conditional_block_is_the_equation",
    ),
    Mutation(
        "asymkit/blocks.py",
        'self.norm1(self.conv1(x), z, activation="relu")',
        "self.norm1(self.conv1(x), z)",
        "tests/test_blocks.py::test_a_conditional_block_is_the_equation",
    ),
    Mutation(
        "asymkit/blocks.py",
        "x + self.conv2(F.relu(",
        "self.conv2(F.relu(",
        "tests/test_blocks.py::test_a_block_without_norms_is_the_equation",
    ),
    Mutation(
        "asymkit/blocks.py",
        "if self.checkpointed and",
        "if not self.checkpointed and",
        "tests/test_blocks.py::test_checkpointing_saves_memory_in_every_generator",
    ),
    Mutation(
        "asymkit/labels.py", ".float()\n", ".float().flip(1)\n", "tests/test_label_generators.py asymkit/labels.py"
    ),
]

OPS = [
    Mutation("asymkit/ops/eager/norm.py", "VARIANCE_FLOOR = 1e-6", "VARIANCE_FLOOR = 2e-6", "tests/test_norm.py"),
    Mutation("asymkit/ops/eager/ssim.py", "POWER_FLOOR = 1e-3", "POWER_FLOOR = 1e-4", "tests/test_ssim.py"),
    Mutation("asymkit/ops/eager/ssim.py", "K1, K2 = 0.01, 0.03", "K1, K2 = 0.02, 0.03", "tests/test_ssim.py"),
    Mutation("asymkit/ops/ssim.py", "(0.0448, 0.2856,", "(0.0448, 0.2850,", "tests/test_ssim.py"),
    Mutation("asymkit/ops/ssim.py", "weight / sum(weights) for", "weight for", "tests/test_ssim.py"),
    Mutation("asymkit/ops/ssim.py", "options = (low, high - low", "options = (0.0, high - low", "tests/test_ssim.py"),
    Mutation(
        "asymkit/ops/pixel.py",
        "return x.shape[1] * difference.mean((1, 2, 3))",
        "return difference.mean((1, 2, 3))",
        "tests/test_pixel.py",
    ),
    Mutation(
        "asymkit/ops/pixel.py",
        "[weight * mean for weight, mean in",
        "[mean for weight, mean in",
        "tests/test_pixel.py",
    ),
    Mutation("asymkit/ops/pixel.py", "(1, 2, 3)) + reduce(", "(1, 2, 3)) - reduce(", "tests/test_pixel.py"),
    Mutation(
        "asymkit/ops/gram.py",
        "maps.mT) / maps[0].numel()",
        "maps.mT) / maps[0, 0].numel()",
        "tests/test_gram_entropy.py",
    ),
    Mutation("asymkit/ops/entropy.py", ".sum(1) / math.log(2)", ".sum(1)", "tests/test_gram_entropy.py"),
    Mutation("asymkit/ops/entropy.py", "(LEVELS - 1)).round()", "(LEVELS - 1)).floor()", "tests/test_gram_entropy.py"),
    Mutation("asymkit/ops/norm.py", "NEGATIVE_SLOPE = 0.2", "NEGATIVE_SLOPE = 0.1", "tests/test_norm.py"),
    Mutation(
        "asymkit/evaluation/entropy.py",
        "if one >= other else",
        "if one <= other else",
        "tests/test_evaluation_entropy.py asymkit/evaluation/entropy.py",
    ),
    Mutation(
        "asymkit/evaluation/entropy.py", "histogram / len(files)", "histogram", "tests/test_evaluation_entropy.py"
    ),
]

NETWORKS = [
    Mutation(
        "asymkit/inference/tiled.py",
        "(2 * blend)).clamp(0, 1) if self.first",
        "(blend)).clamp(0, 1) if self.first",
        "tests/test_tiled.py::test_too_little_context_is_faded",
    ),
    Mutation("asymkit/networks/highres.py", "return torch.randn(n,", "return torch.rand(n,", "tests/test_highres.py"),
    Mutation(
        "asymkit/blocks.py",
        "return torch.tanh(values if skip is None else values + skip(image))",
        "return values if skip is None else values + skip(image)",
        "tests/test_highres.py",
    ),
    Mutation("asymkit/blocks.py", "values + skip(image)", "values + image", "tests/test_generators.py"),
    Mutation(
        "asymkit/blocks.py",
        "[:, :, 3, 3].fill_diagonal_(",
        "[:, :, 2, 3].fill_diagonal_(",
        "tests/test_generators.py",
    ),
    Mutation("asymkit/blocks.py", "inputs >= outputs > 1", "inputs == outputs", "tests/test_generators.py"),
    Mutation("asymkit/blocks.py", "self.GAIN / inputs", "self.GAIN", "tests/test_generators.py"),
    Mutation(
        "asymkit/checkpoints/recognition.py",
        '"skip": "skip.weight" in shapes',
        '"skip": False',
        "tests/test_load_network.py",
    ),
    Mutation(
        "asymkit/networks/encoders.py",
        "z.mean((2, 3))",
        "z.amax((2, 3))",
        "tests/test_discriminators_encoders.py::test_an_encoder_is_its_layers_one_after_the_other",
    ),
    Mutation(
        "asymkit/networks/encoders.py",
        "(4 * width) for _ in range(3)))\n        else",
        "(4 * width) for _ in range(2)))\n        else",
        "tests/test_discriminators_encoders.py::test_an_encoder_is_its_layers_one_after_the_other",
    ),
    Mutation(
        "asymkit/networks/encoders.py",
        "F.relu(self.blocks(",
        "(self.blocks(",
        "tests/test_discriminators_encoders.py::test_an_encoder_is_its_layers_one_after_the_other",
    ),
    Mutation(
        "asymkit/blocks.py",
        "max(blocks - 3, 0) // 2",
        "max(blocks - 3, 0)",
        "tests/test_generators.py::test_cin_is_in_the_middle_three_blocks",
    ),
    Mutation(
        "asymkit/networks/generators.py",
        "middle = blocks // 2",
        "middle = 0",
        "tests/test_generators.py::test_z_is_concatenated_from_the_middle_on",
    ),
    Mutation(
        "asymkit/networks/generators.py",
        "torch.cat([image, condition], dim=1)",
        "torch.cat([condition, image], dim=1)",
        "tests/test_generators.py::test_a_condition_image_is_concatenated",
    ),
    Mutation(
        "asymkit/networks/generators.py",
        "-(-images.shape[-2] // 8)",
        "images.shape[-2] // 8",
        "tests/test_discriminators_encoders.py::test_discriminators_and_encoders_take_odd_sizes",
    ),
    Mutation(
        "asymkit/networks/generators.py",
        'norm=name == "image"',
        "norm=False",
        "tests/test_generators.py::test_concat_all_normalises_only_where_no_norm_follows",
    ),
    Mutation(
        "asymkit/networks/highres.py",
        "torch.randn(n, aux_channels",
        "torch.zeros(n, aux_channels",
        "tests/test_highres.py",
    ),
    Mutation(
        "asymkit/networks/highres.py",
        "up = [4 * width, 4 * width,",
        "up = [4 * width, 2 * width,",
        "tests/test_highres.py",
    ),
    Mutation(
        "asymkit/networks/discriminators.py",
        "kernel_size=(high // 2**layers, wide // 2**layers)",
        "kernel_size=(high // 2**layers, high // 2**layers)",
        "tests/test_label_generators.py",
    ),
    Mutation("asymkit/networks/discriminators.py", "SLOPE = 0.01", "SLOPE = 0.2", "tests/test_checkpoints.py"),
    Mutation("asymkit/networks/discriminators.py", "SLOPE = 0.2\n", "SLOPE = 0.1\n", "tests/test_checkpoints.py"),
    Mutation(
        "asymkit/networks/discriminators.py",
        "min(2**i, 8)",
        "min(2**i, 4)",
        "tests/test_networks.py::test_published_sizes",
    ),
    Mutation("asymkit/networks/discriminators.py", ", count_include_pad=False", "", "tests/test_highres.py"),
    Mutation(
        "asymkit/networks/discriminators.py",
        "zip(self.convs[1:], self.norms, strict=True)",
        "zip(self.convs[2:], self.norms[1:], strict=True)",
        "tests/test_discriminators_encoders.py",
    ),
    Mutation(
        "asymkit/networks/dual.py",
        "return self.reconstructor(image, condition)",
        "return self.translator(image, condition)",
        "tests/test_asymmetricgan.py",
    ),
    Mutation(
        "asymkit/networks/dual.py",
        "reconstructor.blocks = translator.blocks",
        "pass",
        "tests/test_dual.py::test_counts_of_the_paper",
    ),
    Mutation(
        "asymkit/networks/label_generators.py",
        "(0 if at_blocks else length)",
        "0",
        "tests/test_label_generators.py",
    ),
    Mutation(
        "asymkit/networks/label_generators.py",
        "WIDTHS = (9, 8, 7,",
        "WIDTHS = (9, 7, 8,",
        "tests/test_label_generators.py tests/test_dual.py",
    ),
    Mutation(
        "asymkit/networks/features.py",
        "std = (2 / (9 * inputs)) ** 0.5",
        "std = (1 / (9 * inputs)) ** 0.5",
        "tests/test_features.py",
    ),
    Mutation(
        "asymkit/networks/features.py",
        "(0.485, 0.456, 0.406), (0.229",
        "(0.485, 0.406, 0.456), (0.229",
        "tests/test_features.py",
    ),
    Mutation(
        "asymkit/networks/features.py", "F.max_pool2d(hidden, 2)", "F.avg_pool2d(hidden, 2)", "tests/test_features.py"
    ),
    Mutation(
        "asymkit/inference/any_size.py", "(last - index).abs()", "(last - index + 1).abs()", "tests/test_any_size.py"
    ),
    Mutation(
        "asymkit/inference/any_size.py",
        "torch.arange(image.shape[dim], device",
        "torch.arange(1, image.shape[dim] + 1, device",
        "tests/test_any_size.py",
    ),
    Mutation(
        "asymkit/inference/any_size.py",
        "return result * half + middle",
        "return result * half",
        "tests/test_any_size.py",
    ),
    Mutation(
        "asymkit/inference/tiled.py",
        "radius = _round_up(network.radius, self.multiple)",
        "radius = _round_up(network.radius // 2, self.multiple)",
        "tests/test_tiled.py",
    ),
    Mutation(
        "asymkit/inference/tiled.py", "min(side, b + overlap), a, b)", "min(side, b), a, b)", "tests/test_tiled.py"
    ),
    Mutation(
        "asymkit/inference/tracing.py",
        "delta.square() * share * (1 - share)",
        "delta.square() * share",
        "tests/test_tiled.py",
    ),
]

LOSSES = [
    Mutation(
        "asymkit/losses/classification.py",
        "F.cross_entropy(widen(logits), widen(wanted))",
        "F.cross_entropy(logits, wanted)",
        "tests/test_label_generators.py::test_classification_of_half_precision_is_float32",
    ),
    Mutation(
        "asymkit/losses/adversarial.py",
        "self._distance(widen(prediction)",
        "self._distance((prediction)",
        "tests/test_adversarial.py",
    ),
    Mutation(
        "asymkit/losses/perceptual.py", "keepdim=True) + 1e-10)", "keepdim=True) + 1e-6)", "tests/test_perceptual.py"
    ),
    Mutation(
        "asymkit/losses/perceptual.py",
        ".square().mean() for p, t",
        ".square().sum() for p, t",
        "tests/test_perceptual.py",
    ),
    Mutation(
        "asymkit/losses/perceptual.py", ".square().sum((1, 2)).mean()", ".square().mean()", "tests/test_perceptual.py"
    ),
    Mutation(
        "asymkit/losses/perceptual.py", ".abs().mean() * weights[name]", ".abs().mean()", "tests/test_perceptual.py"
    ),
    Mutation(
        "asymkit/losses/perceptual.py", ".sum(1).mean((1, 2))", ".mean(1).mean((1, 2))", "tests/test_perceptual.py"
    ),
    Mutation(
        "asymkit/losses/perceptual.py", "with torch.no_grad():", "with torch.enable_grad():", "tests/test_perceptual.py"
    ),
    Mutation(
        "asymkit/losses/perceptual.py",
        "widen(wanted[name].detach())",
        "widen(wanted[name])",
        "tests/test_perceptual.py",
    ),
    Mutation(
        "asymkit/losses/perceptual.py",
        "maps.shape[2:] if one_size else target[name].shape[2:]",
        "target[name].shape[2:]",
        "tests/test_perceptual.py",
    ),
    Mutation(
        "asymkit/losses/adversarial.py",
        "self(real, True) + self(fake, False)",
        "self(real, True) + self(fake, True)",
        "tests/test_adversarial.py",
    ),
    Mutation(
        "asymkit/losses/adversarial.py",
        "return self(fake, True)\n",
        "return -self(fake, False)\n",
        "tests/test_adversarial.py",
    ),
    Mutation(
        "asymkit/losses/adversarial.py",
        "for scores in prediction]).mean()",
        "for scores in prediction]).sum()",
        "tests/test_adversarial.py",
    ),
    Mutation(
        "asymkit/losses/adversarial.py",
        "-scores if real else scores",
        "scores if real else -scores",
        "tests/test_adversarial.py",
    ),
    Mutation(
        "asymkit/losses/classification.py",
        'reduction="sum") / batch',
        'reduction="mean")',
        "tests/test_label_generators.py",
    ),
    Mutation(
        "asymkit/losses/reconstruction.py",
        "return 1 - compare_scales(",
        "return compare_scales(",
        "tests/test_ssim.py",
    ),
    Mutation(
        "asymkit/losses/reconstruction.py",
        "self.power, self.reduction).mean()",
        "self.power).mean()",
        "tests/test_asymmetricgan.py",
    ),
]

ASYMGAN, ASYNCGAN = "asymkit/objectives/asymgan.py", "asymkit/objectives/asyncgan.py"
UNSUPERVISED = "asymkit/objectives/asymmetricgan/unsupervised.py"
SUPERVISED = "asymkit/objectives/asymmetricgan/supervised.py"

OBJECTIVES = [
    Mutation(
        ASYMGAN,
        "z = torch.randn_like(encoded_z)",
        "z = torch.rand_like(encoded_z)",
        "tests/test_asymgan.py::test_sampled_z_is_normally_distributed",
    ),
    Mutation(
        ASYNCGAN,
        "z = torch.randn_like(encoded_z)",
        "z = torch.rand_like(encoded_z)",
        "tests/test_asymgan.py::test_sampled_z_is_normally_distributed",
    ),
    Mutation(
        "asymkit/objectives/terms.py",
        "(widen(made) - widen(original))",
        "(made - original)",
        "tests/test_asymgan.py::test_differences_of_codes_and_images_are_float32_or_wider",
    ),
    Mutation("asymkit/objectives/terms.py", "return z.to(code)", "return z", "tests/test_asymgan.py"),
    Mutation("asymkit/objectives/terms.py", "if weights[name] != 0]", "]", "tests/test_asymgan.py"),
    Mutation("asymkit/objectives/terms.py", "weights[name] * term for", "term for", "tests/test_asymgan.py"),
    Mutation(
        ASYMGAN,
        '"rebuilt_rich": (seen_poor, encoded_z)',
        '"rebuilt_rich": (seen_poor, z)',
        "tests/test_asymgan.py",
    ),
    Mutation(ASYMGAN, '"rebuilt_rich": (seen_poor', '"rebuilt_rich": (fake_poor', "tests/test_asymgan.py"),
    Mutation(ASYMGAN, '"rebuilt_resampled": (seen_poor', '"rebuilt_resampled": (fake_poor', "tests/test_asymgan.py"),
    Mutation(ASYMGAN, "fake_poor.detach() if", "fake_poor if", "tests/test_asymgan.py"),
    Mutation(
        ASYMGAN,
        'self.encoder(rich["fake_rich"])',
        'self.encoder(rich["rebuilt_rich"])',
        "tests/test_asymgan.py",
    ),
    Mutation(
        ASYMGAN, "l1(cycles.rebuilt_rich, cycles.x)", "l1(cycles.rebuilt_rich, cycles.y)", "tests/test_asymgan.py"
    ),
    Mutation(
        ASYMGAN,
        "aux_l1(cycles.rebuilt_z, cycles.z)",
        "aux_l1(cycles.rebuilt_z, cycles.encoded_z)",
        "tests/test_asymgan.py",
    ),
    Mutation(
        ASYMGAN,
        "content(cycles.fake_encoded, cycles.y)",
        "content(cycles.fake_encoded, cycles.x)",
        "tests/test_asymgan.py",
    ),
    Mutation(
        ASYMGAN, "style(cycles.fake_encoded, cycles.x)", "style(cycles.fake_encoded, cycles.y)", "tests/test_asymgan.py"
    ),
    Mutation(ASYMGAN, "c.rebuilt_poor, c.fake_encoded", "c.fake_encoded", "tests/test_asymgan.py"),
    Mutation(
        ASYMGAN, "aux(cycles.z), aux(cycles.encoded_z)", "aux(cycles.encoded_z), aux(cycles.z)", "tests/test_asymgan.py"
    ),
    Mutation(
        ASYMGAN,
        "real_rich + gan(rich(cycles.fake_encoded), False)",
        "gan(rich(cycles.fake_encoded), False)",
        "tests/test_asymgan.py",
    ),
    Mutation(
        "asymkit/training/image_pool.py",
        '"fake_poor", "fake_rich", "rebuilt_resampled", "fake_encoded")',
        '"fake_poor", "fake_rich", "rebuilt_resampled")',
        "tests/test_pool.py",
    ),
    Mutation(ASYMGAN, "content: float = 0.2", "content: float = 0.1", "tests/test_asymgan.py"),
    Mutation(ASYMGAN, "i / (steps - 1)", "i / steps", "tests/test_asymgan.py"),
    Mutation(
        ASYNCGAN,
        "    with torch.no_grad():\n        return rich_to_poor",
        "    with torch.enable_grad():\n        return rich_to_poor",
        "tests/test_asyncgan.py",
    ),
    Mutation(ASYNCGAN, '"rebuilt": (poor, encoded_z)', '"rebuilt": (poor, z)', "tests/test_asyncgan.py"),
    Mutation(ASYNCGAN, "l1(pairs.rebuilt, pairs.x)", "l1(pairs.rebuilt_resampled, pairs.x)", "tests/test_asyncgan.py"),
    Mutation(
        ASYNCGAN, "pseudo: float = 10.0", "pseudo: float = 1.0", "tests/test_asyncgan.py asymkit/objectives/asyncgan.py"
    ),
    Mutation(
        ASYNCGAN,
        "rich(pairs.x), [",
        "discriminators.poor(pairs.x), [",
        "tests/test_asyncgan.py",
    ),
    Mutation(
        ASYNCGAN,
        "aux_l1(pairs.rebuilt_z, pairs.z)",
        "aux_l1(pairs.rebuilt_z, pairs.encoded_z)",
        "tests/test_asyncgan.py",
    ),
    Mutation(
        UNSUPERVISED,
        '"same_x": (x, source)',
        '"same_x": (x, target)',
        "tests/test_asymmetricgan.py",
    ),
    Mutation(
        UNSUPERVISED, "classify(logits, cycle.target)", "classify(logits, cycle.source)", "tests/test_asymmetricgan.py"
    ),
    Mutation(
        UNSUPERVISED,
        "classify(of_x.logits, cycle.source)",
        "classify(of_y.logits, cycle.source)",
        "tests/test_asymmetricgan.py",
    ),
    Mutation(
        UNSUPERVISED,
        "(of_y.scores, of_fake.scores)",
        "(of_x.scores, of_fake.scores)",
        "tests/test_asymmetricgan.py",
    ),
    Mutation(UNSUPERVISED, "identity: float = 0.5", "identity: float = 1.0", "tests/test_asymmetricgan.py"),
    Mutation(
        UNSUPERVISED,
        "if self.reconstruction else None",
        "",
        "tests/test_asymmetricgan.py::test_a_cycle_without_reconstruction_has_no_terms_of_it",
    ),
    Mutation(
        UNSUPERVISED,
        'self.dual.translate(made["fake"].detach(), source)',
        'self.dual.translate(made["fake"], source)',
        "tests/test_asymmetricgan.py::test_the_way_back_of_the_translator_is_a_pair_of_a_translation_that_stands_still",
    ),
    Mutation(
        SUPERVISED,
        "if self.reconstruction:",
        "if True:",
        "tests/test_asymmetricgan.py::test_a_cycle_without_reconstruction_has_no_terms_of_it",
    ),
    Mutation(
        SUPERVISED,
        '"same_x": (x, skeleton_x)',
        '"same_x": (x, skeleton_y)',
        "tests/test_asymmetricgan.py",
    ),
    Mutation(
        SUPERVISED,
        '(made["fake_y"], skeleton_x)',
        '(made["fake_y"], skeleton_y)',
        "tests/test_asymmetricgan.py",
    ),
    Mutation(
        SUPERVISED,
        'TotalVariationLoss(power=1, reduction="sum")',
        "TotalVariationLoss(power=1)",
        "tests/test_asymmetricgan.py",
    ),
    Mutation(
        SUPERVISED,
        "discriminators(c.y, c.skeleton_x, c.x), discriminators",
        "discriminators(c.y, c.skeleton_y, c.x), discriminators",
        "tests/test_asymmetricgan.py",
    ),
    Mutation(
        SUPERVISED,
        "perceptual(c.fake_y, c.y) + perceptual(c.fake_x, c.x)",
        "perceptual(c.fake_y, c.y)",
        "tests/test_asymmetricgan.py",
    ),
]

TRAINING = [
    Mutation("asymkit/training/augment.py", "side - hole // 2 + 1", "side - hole + 1", "tests/test_augment.py"),
    Mutation("asymkit/training/guard.py", "(values, math.inf)", "(values, 2.0)", "tests/test_guard.py"),
    Mutation("asymkit/training/schedule.py", "layer.training = False\n", "pass\n", "tests/test_schedule.py"),
    Mutation("asymkit/training/image_pool.py", "torch.rand(()) < 0.5", "torch.rand(()) < 0.7", "tests/test_pool.py"),
    Mutation("asymkit/training/image_pool.py", "images = images.detach()", "images = images", "tests/test_pool.py"),
    Mutation(
        "asymkit/training/image_pool.py",
        "self.images.append(image.clone())",
        "self.images.append(image)",
        "tests/test_pool.py",
    ),
    Mutation(
        "asymkit/training/image_pool.py",
        "self.images[index] = self.images[index], image.clone()",
        "self.images[0] = self.images[index], image.clone()",
        "tests/test_pool.py",
    ),
    Mutation(
        "asymkit/training/schedule.py",
        "2 * ((epoch - half) % period) >= period",
        "2 * ((epoch - half) % period) > period",
        "tests/test_async_scheduler.py",
    ),
    Mutation(
        "asymkit/training/schedule.py", "number = epoch + 1\n", "number = epoch\n", "tests/test_async_scheduler.py"
    ),
    Mutation(
        "asymkit/training/schedule.py",
        "2 * (number % period) > period",
        "2 * (number % period) >= period",
        "tests/test_async_scheduler.py",
    ),
    Mutation(
        "asymkit/training/schedule.py",
        "period or self.period, math.ceil(self.total_epochs / 2)",
        "period or self.period, self.total_epochs // 2",
        "tests/test_async_scheduler.py",
    ),
    Mutation(
        "asymkit/training/schedule.py",
        "parameter.requires_grad_(required)",
        "parameter.requires_grad_(True)",
        "tests/test_schedule.py",
    ),
    Mutation(
        "asymkit/training/schedule.py", "layer.training = training", "layer.training = True", "tests/test_schedule.py"
    ),
    Mutation(
        "asymkit/training/schedule.py",
        "            parameter.grad = None\n",
        "",
        "tests/test_schedule.py tests/test_async_scheduler.py",
    ),
    Mutation(
        "asymkit/training/schedule.py",
        "        with frozen(*self.frozen):\n            return",
        "        if True:\n            return",
        "tests/test_async_scheduler.py",
    ),
    Mutation(
        "asymkit/training/schedule.py",
        "if progress <= constant",
        "if progress <= constant / 2",
        "tests/test_schedule.py",
    ),
    Mutation(
        "asymkit/training/schedule.py", "(1 - progress) / (1 - constant)", "1 - progress", "tests/test_schedule.py"
    ),
    Mutation("asymkit/training/guard.py", "self.consecutive_skips = 0\n", "pass\n", "tests/test_guard.py"),
    Mutation(
        "asymkit/training/guard.py", "consecutive >= self.limit", "consecutive > self.limit", "tests/test_guard.py"
    ),
    Mutation("asymkit/training/guard.py", "found_inf = skipped ", "found_inf = 0 * skipped ", "tests/test_guard.py"),
    Mutation(
        "asymkit/training/guard.py",
        "consecutive.add_(1).mul_(skipped)",
        "consecutive.add_(skipped)",
        "tests/test_guard.py",
    ),
    Mutation(
        "asymkit/training/guard.py",
        "torch.maximum(longest, consecutive, out=longest)",
        "longest.copy_(consecutive)",
        "tests/test_guard.py",
    ),
    Mutation("asymkit/training/guard.py", "torch.where(skipped > 0, values, kept)", "values", "tests/test_guard.py"),
    Mutation("asymkit/training/guard.py", "            kept.zero_()\n", "", "tests/test_guard.py"),
    Mutation(
        "asymkit/training/guard.py",
        "torch.full((), number, device=device)",
        "torch.tensor(number, device=device)",
        "tests/test_capture.py",
    ),
    Mutation("asymkit/training/guard.py", "if not _capturing(device):", "if True:", "tests/test_capture.py"),
    Mutation("asymkit/training/image_pool.py", "same.tril(-1)", "same.tril()", "tests/test_pool.py"),
    Mutation("asymkit/training/image_pool.py", "same.triu(1)", "same.tril(-1)", "tests/test_pool.py"),
    Mutation("asymkit/training/image_pool.py", "< math.inf", "<= math.inf", "tests/test_pool.py"),
    Mutation("asymkit/training/image_pool.py", "swaps = finite & ~fills", "swaps = ~fills", "tests/test_pool.py"),
    Mutation(
        "asymkit/training/image_pool.py",
        "self._rows[: int(self._count)].clone()",
        "self._rows[: int(self._count)]",
        "tests/test_pool.py",
    ),
    Mutation("asymkit/objectives/terms.py", "made.split(sizes)", "made.chunk(len(sizes))", "tests/test_capture.py"),
    Mutation("asymkit/training/capture.py", "held.copy_(given, non_blocking=True)", "pass", "tests/test_capture.py"),
    Mutation("asymkit/training/capture.py", 'rate.fill_(group["lr"])', "rate", "tests/test_capture.py"),
    Mutation(
        "asymkit/training/capture.py",
        '                group["lr"] = rate\n',
        "                pass\n",
        "tests/test_capture.py",
    ),
    Mutation(
        "asymkit/training/capture.py",
        "            guard.replayed()\n",
        "                pass\n",
        "tests/test_capture.py",
    ),
    Mutation("asymkit/training/capture.py", "self.steps < WARM_UP", "self.steps <= WARM_UP", "tests/test_capture.py"),
    Mutation("asymkit/training/guard.py", "ReduceOp.MIN", "ReduceOp.MAX", "tests/test_guard.py"),
    Mutation("asymkit/training/guard.py", "        optimizer.zero_grad(set_to_none=True)\n", "", "tests/test_guard.py"),
    Mutation(
        "asymkit/training/augment.py",
        "mean + (image - mean) * (1 + self",
        "mean + (image - mean) * (self",
        "tests/test_augment.py",
    ),
    Mutation(
        "asymkit/training/augment.py", "randint(-most, most + 1,", "randint(0, most + 1,", "tests/test_augment.py"
    ),
    Mutation(
        "asymkit/training/augment.py", "return image * ~hole_mask", "return image * hole_mask", "tests/test_augment.py"
    ),
]

CHECKPOINTS = [
    Mutation(
        "asymkit/checkpoints/layouts.py", "second = 6 if dropout else 5", "second = 5", "tests/test_checkpoints.py"
    ),
    Mutation(
        "asymkit/checkpoints/layouts.py",
        '{after + 3 * i}"] = f"decoder.{i}.conv"',
        '{after + 3 * i}"] = f"decoder.{1 - i}.conv"',
        "tests/test_checkpoints.py",
    ),
    Mutation(
        "asymkit/checkpoints/layouts.py",
        '"conv1.weight": "to_score.weight", "conv2.weight": "to_domain.weight"',
        '"conv2.weight": "to_score.weight", "conv1.weight": "to_domain.weight"',
        "tests/test_checkpoints.py",
    ),
    Mutation(
        "asymkit/checkpoints/layouts.py",
        "enumerate(((0, 1), (3, 4)), start=1)",
        "enumerate(((3, 4), (0, 1)), start=1)",
        "tests/test_checkpoints.py",
    ),
    Mutation(
        "asymkit/checkpoints/recognition.py",
        "side * 2**layers for side",
        "2**layers for side",
        "asymkit/checkpoints/published.py",
    ),
    Mutation("asymkit/hub.py", "strict=strict, **options", "strict=False, **options", "tests/test_hub.py"),
]

CROPS = "test_crops_come_from_everywhere_at_every_magnification_half_of_them_mirrored"
CLOCK = "test_a_timed_run_follows_the_clock"
EASY = "test_partial_steps_leave_the_easy_direction_alone"
SHOWN, MOVED = "test_discriminators_are_shown_earlier_fakes", "test_each_step_moves_its_own_networks_only"
SYNCED = "test_contents_reach_the_disk_before_their_names_and_names_before_the_end"
RATES = "test_learning_rates_are_constant_for_half_of_the_run_then_fall_to_zero"

EXAMPLES = [
    Mutation("examples/support/data/hands.py", "if confidence > SEEN:", "if True:", "tests/test_domains_gestures.py"),
    Mutation(
        "examples/support/data/images.py",
        "rng.uniform(1, zoom)",
        "rng.uniform(1, 1)",
        f"tests/test_support.py::{CROPS}",
    ),
    Mutation("examples/support/data/images.py", "crop[:, ::-1] if", "crop if", f"tests/test_support.py::{CROPS}"),
    Mutation(
        "examples/support/data/images.py",
        "rng.uniform(0, image.width - width)",
        "rng.uniform(0, 0)",
        f"tests/test_support.py::{CROPS}",
    ),
    Mutation(
        "examples/support/run/run.py",
        "self.seconds / (60 *",
        "self.seconds / (30 *",
        f"tests/test_training.py::{CLOCK}",
    ),
    Mutation(
        "examples/support/run/run.py",
        "self.seconds + seconds, self._since",
        "seconds, self._since",
        f"tests/test_training.py::{CLOCK}",
    ),
    Mutation(
        "examples/asyncgan.py",
        "            ema.update()\n",
        "",
        "tests/test_training.py::test_the_average_follows_the_weights_of_every_step",
    ),
    Mutation(
        "examples/asyncgan.py",
        "asymkit.linear_decay(run.progress)",
        "1.0",
        f"tests/test_training.py::{RATES}",
    ),
    Mutation(
        "examples/asyncgan.py",
        "decay * settings.lr_d",
        "decay * settings.lr_g",
        f"tests/test_training.py::{RATES}",
    ),
    Mutation(
        "examples/support/run/run.py",
        "backward(loss / self.settings.accumulate)",
        "backward(loss)",
        "tests/test_training.py::test_gradients_are_averaged_over_batches",
    ),
    Mutation(
        "examples/support/run/run.py",
        "first * each, after * each",
        "0, after * each",
        "tests/test_training.py::test_asymgan_goes_on_to_the_bit",
    ),
    Mutation(
        "examples/support/run/run.py",
        "                    state.forget_nonfinite()",
        "                    pass",
        "tests/test_training.py::test_images_that_are_not_finite_do_not_stay_in_the_pool",
    ),
    Mutation(
        "examples/support/run/ema.py",
        "average.lerp_(weight, 1 - decay)",
        "average.lerp_(weight, decay)",
        "tests/test_training.py::test_moving_averages",
    ),
    Mutation(
        "examples/support/run/command.py",
        '"best", "best_is", "max_skipped"',
        '"best", "best_is", "max_skipped", "lr_g", "lr_d"',
        "tests/test_support.py",
    ),
    Mutation(
        "examples/support/run/command.py",
        '"picture_size", "seeds"',
        '"picture_size", "seeds", "ema"',
        "tests/test_support.py",
    ),
    Mutation(
        "asymkit/checkpoints/durable.py",
        "new.replace(path)\n        sync_folder(path.parent)\n",
        "new.replace(path)\n",
        f"tests/test_durable.py::{SYNCED}",
    ),
    Mutation(
        "examples/support/run/atomic_write.py",
        "new_checksum.replace(checksum)\n        sync_folder(path.parent)\n",
        "new_checksum.replace(checksum)\n",
        f"tests/test_durable.py::{SYNCED}",
    ),
    Mutation(
        "asymkit/checkpoints/durable.py", "        os.fsync(file.fileno())\n", "", f"tests/test_durable.py::{SYNCED}"
    ),
    Mutation("asymkit/checkpoints/durable.py", "os.fsync(handle)", "pass", f"tests/test_durable.py::{SYNCED}"),
    Mutation(
        "examples/support/run/rng.py",
        'torch.set_rng_state(states["cpu"])',
        "pass",
        "tests/test_durable.py::test_every_random_state_goes_on_where_it_was",
    ),
    Mutation(
        "examples/support/run/rng.py",
        "random.setstate((version, tuple(words), gauss_next))",
        "pass",
        "tests/test_durable.py::test_every_random_state_goes_on_where_it_was",
    ),
    Mutation(
        "examples/support/run/checkpoint.py",
        'torch.manual_seed(1000 * saved["step"] + process)',
        'torch.manual_seed(1000 * saved["step"])',
        "tests/test_durable.py::test_other_processes_go_on_with_chance_of_their_own",
    ),
    Mutation(
        "examples/support/run/checkpoint.py",
        'return saved["step"], saved',
        'return saved["step"] - 1, saved',
        "tests/test_support.py::test_checkpoints_restore_parts_and_the_random_state",
    ),
    Mutation(
        "examples/support/run/checkpoint.py",
        'torch.manual_seed(1000 * saved["step"] + process)',
        "torch.manual_seed(process)",
        "tests/test_durable.py::test_other_processes_go_on_with_chance_of_their_own",
    ),
    Mutation(
        "examples/support/run/rng.py",
        "np.random.set_state(",
        "dict().get(",
        "tests/test_durable.py::test_every_random_state_goes_on_where_it_was",
    ),
    Mutation(
        "examples/support/run/plan.py",
        "else min(rich, poor) for phase in phases",
        "else rich for phase in phases",
        "tests/test_async_support.py::test_a_plan_counts_whole_steps_of_the_smaller_and_of_the_rich_set",
    ),
    Mutation(
        "examples/support/run/plan.py",
        "bisect_right(self.starts, step)",
        "bisect_right(self.starts, step + 1)",
        "tests/test_async_support.py::test_joint_epochs_are_as_long_as_the_smaller_set_partial_ones_as_the_rich_one",
    ),
    Mutation(
        "examples/support/run/best_checkpoint.py",
        "value < self.value if self.lowest else value > self.value",
        "value > self.value if self.lowest else value < self.value",
        "tests/test_training.py::test_the_best_checkpoint_is_kept",
    ),
    Mutation(
        "asymkit/evaluation/images.py", "(255 / (high - low))", "(256 / (high - low))", "tests/test_value_ranges.py"
    ),
    Mutation("examples/support/data/images.py", ".div_(127.5).sub_(1)", ".div_(127.5)", "tests/test_support.py"),
    Mutation(
        "examples/support/data/unpaired.py",
        'return (a, b) if rich == "A"',
        'return (a, b) if rich == "B"',
        "tests/test_support.py",
    ),
    Mutation(
        "examples/support/data/domains.py",
        "return x, int(source), self.crop(int(target), 2 * index + 1), int(target)",
        "return x, int(target), self.crop(int(target), 2 * index + 1), int(source)",
        "tests/test_domains_gestures.py::test_a_folder_of_folders_is_as_many_domains",
    ),
    *(
        Mutation("examples/support/report/unpaired.py", old, new, "tests/test_figures.py")
        for old, new in (
            ("(rebuilt - x).abs()", "(rebuilt - fake_poor).abs()"),
            ("(one - other).abs().mean() / 2", "(one - other).abs().mean()"),
            ("value.item() * len(batch)", "value.item()"),
            ("ops.shannon_entropy(fake_rich)", "ops.shannon_entropy(y)"),
            ("(_decoded(model.poor, y) - y)", "(_decoded(model.rich, y) - y)"),
        )
    ),
    Mutation(
        "examples/support/report/pictures.py",
        "psnr(cycles.fake_y, cycles.y)",
        "psnr(cycles.fake_y, cycles.x)",
        "tests/test_figures.py",
    ),
    *(
        Mutation(file, old, new, f"tests/test_held_out.py::{test}")
        for file, old, new, test in (
            (
                "examples/support/data/files.py",
                "[files.value_range for files in like]",
                "[None for _ in like]",
                "test_values_of_test_images_are_read_as_those_of_training",
            ),
            (
                "examples/support/data/unpaired.py",
                "        if self.test is None:\n",
                "        if True:\n",
                "test_figures_are_those_of_the_test_images_whatever_training_saw",
            ),
            (
                "examples/support/data/images.py",
                "multiple, shorter = math.gcd(side, 8)",
                "multiple, shorter = 1",
                "test_test_images_are_whole_in_their_own_aspect_ratio",
            ),
        )
    ),
    *(
        Mutation(file, old, new, f"tests/test_unpaired_runs.py::{test}")
        for file, old, new, test in (
            (
                "examples/asyncgan.py",
                "asymkit.frozen(*hard)",
                "asymkit.frozen()",
                "test_joint_steps_of_the_second_half_may_train_the_easy_direction_alone",
            ),
            (
                "examples/support/data/images.py",
                "width = min(height * (wide / high), image.width)",
                "width = height",
                "test_crops_of_a_rectangle_have_its_aspect_ratio",
            ),
            (
                "examples/asymgan.py",
                " if model.extended else {}",
                "",
                "test_vgg_is_built_for_the_terms_that_count_alone",
            ),
        )
    ),
    Mutation("asymkit/evaluation/paired.py", "10 * (4 /", "10 * (1 /", "tests/test_evaluation_paired.py"),
    Mutation(
        "examples/support/report/pictures.py",
        "value.clamp_max(100)",
        "value",
        "tests/test_figures.py::test_gesture_figures_are_psnr_of_the_right_pairs",
    ),
    Mutation(
        "examples/support/report/classifier.py",
        "enumerate(images) if domain != target",
        "enumerate(images)",
        "tests/test_figures.py",
    ),
    Mutation(
        "examples/support/report/classifier.py",
        "[target] * len(others)",
        "[0] * len(others)",
        "tests/test_figures.py",
    ),
    Mutation(
        "examples/asyncgan_munit.py",
        "[model.rich.content, model.poor.decoder, discriminators[1]]",
        "[model.rich.content, model.rich.decoder, discriminators[1]]",
        f"tests/test_steps.py::{EASY}",
    ),
    Mutation(
        "examples/asyncgan_munit.py",
        "l1(made.rebuilt, x)",
        "l1(made.fake_rich, x)",
        "tests/test_async_support.py::test_munits_partial_step_is_its_equations",
    ),
    Mutation(
        "examples/asyncgan_munit.py",
        "discriminator_loss(rich(x), fakes)",
        "discriminator_loss(poor(x), fakes)",
        "tests/test_async_support.py::test_munits_partial_step_is_its_equations",
    ),
    Mutation(
        "examples/asymgan.py",
        "pooled = pools(cycles)",
        "pooled = cycles.detach()",
        f"tests/test_steps.py::{SHOWN}",
    ),
    Mutation(
        "examples/asyncgan.py",
        "pooled = pools(cycles)",
        "pooled = cycles.detach()",
        f"tests/test_steps.py::{SHOWN}",
    ),
    *(
        Mutation(
            f"examples/{name}.py",
            f"        with asymkit.frozen({networks}):{more}",
            f"        if True:{more}",
            f"tests/test_steps.py::{MOVED}",
        )
        for name, networks, more in (
            ("asymgan", "ddp_discriminators", ""),
            ("asyncgan", "ddp_discriminators", "\n            generator_terms = asyncgan.joint"),
            ("asyncgan_munit", "*ddp_discriminators", ""),
            ("asymmetricgan_domains", "ddp_discriminators", ""),
            ("asymmetricgan_gesture", "ddp_discriminators", ""),
        )
    ),
    Mutation(
        "examples/stargan.py",
        'kind(run.step) == "generator"',
        "True",
        "tests/test_rivals.py::test_stargans_discriminator_takes_five_steps_for_each_of_the_generator",
    ),
    Mutation(
        "examples/support/run/plan.py",
        "self.easy_alone and 2 * self.epoch(step) >=",
        "self.easy_alone and 1 * self.epoch(step) >=",
        "tests/test_unpaired_runs.py",
    ),
    Mutation(
        UNSUPERVISED,
        'made["fake"].detach(), source)',
        'made["fake"].detach(), target)',
        "tests/test_hidden_factors_domains.py",
    ),
    Mutation(
        "asymkit/networks/discriminators.py",
        "kernel_size=(high // 2**layers, wide // 2**layers)",
        "kernel_size=(wide // 2**layers, high // 2**layers)",
        "tests/test_label_generators.py",
    ),
    Mutation(
        "examples/stargan.py",
        "l1(ddp_generator(fake, source), x)",
        "l1(ddp_generator(fake, target), x)",
        "tests/test_rivals.py::test_stargans_gradients_are_those_of_its_equations",
    ),
    Mutation(
        "examples/asymmetricgan_gesture.py",
        "settings.l1 / 3",
        "settings.l1",
        "tests/test_rivals.py::test_pix2pix_is_one_generator_with_an_adversarial_loss_and_l1",
    ),
    Mutation(
        "examples/asymmetricgan_domains.py",
        "weights.cycle > 0 or weights.structure > 0",
        "True",
        "tests/test_steps.py::test_a_reconstruction_that_no_term_asks_for_is_not_made",
    ),
    Mutation(
        "examples/support/data/gestures.py",
        "if frozenset(pair) not in seen",
        "if pair not in fresh",
        "tests/test_test_sets.py::test_a_column_says_which_pairs_are_for_the_test",
    ),
    Mutation(
        "examples/asyncgan.py",
        "[model.rich_to_poor, discriminators.poor]",
        "[model.poor_to_rich, discriminators.rich]",
        f"tests/test_steps.py::{EASY}",
    ),
    Mutation(
        "examples/cyclegan_dropin.py",
        '1 / 3 if "colour" in opt.use',
        '1.0 if "colour" in opt.use',
        "tests/test_example_dropin.py::test_parts_that_stand_in_for_a_loss_have_its_size",
    ),
    Mutation(
        "examples/cyclegan_dropin.py",
        "easy = [model.netG_A, model.netD_A]",
        "easy = [model.netG_B, model.netD_B]",
        "tests/test_example_dropin.py::test_every_part_trains",
    ),
    Mutation(
        "asymkit/weight_files.py",
        '("checkpoint.pt", "model.safetensors")',
        '("model.safetensors", "checkpoint.pt")',
        "tests/test_load_network.py::test_of_a_run_that_was_shared_into_its_own_folder_the_training_state_is_read",
    ),
]

MUTATIONS = [*LAYERS, *OPS, *NETWORKS, *LOSSES, *OBJECTIVES, *TRAINING, *CHECKPOINTS, *EXAMPLES]
