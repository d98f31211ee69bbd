"""The GAN as a model: its steps against a literal loop, what it predicts, its optimizers and its errors."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.structures import BaseDataElement
from torch import nn

from slf_mmdet.losses import gradient_penalty

from ..processes import run_in_two
from . import two_gans

ADAM = dict(lr=1e-3, betas=(0.5, 0.999))
OPTIM = dict(
    constructor='OptimPerModule',
    generator=dict(optimizer=dict(type='Adam', **ADAM)),
    discriminator=dict(optimizer=dict(type='Adam', **ADAM)),
)


def build(loss='NonSaturatingGANLoss', generator=None, discriminator=None, **settings):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='GAN',
            data_preprocessor=dict(type='ImgDataPreprocessor', mean=[127.5], std=[127.5]),
            generator=dict(type='DCGANGenerator', image_size=8, noise_dim=5, channels=3, **(generator or {})),
            discriminator=dict(type='DCGANDiscriminator', image_size=8, channels=3, **(discriminator or {})),
            loss=dict(type=loss) if isinstance(loss, str) else loss,
            **settings,
        )
    )


def batch(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return dict(inputs=list(images), data_samples=[BaseDataElement(metainfo=dict(sample_idx=i)) for i in range(count)])


def states(*modules):
    return [{key: value.clone() for key, value in module.state_dict().items()} for module in modules]


def equal(first, second):
    return all(torch.equal(value, second[key]) for key, value in first.items())


def literal_losses(loss, discriminator, real, fake):
    scores_real, scores_fake = discriminator(real), discriminator(fake)
    ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
    if loss == 'WGANGPLoss':
        return scores_fake.mean() - scores_real.mean() + 10 * gradient_penalty(discriminator, real, fake)
    if loss == 'WGANLoss':
        return scores_fake.mean() - scores_real.mean()
    if loss == 'LeastSquaresGANLoss':
        return F.mse_loss(scores_real, ones) / 2 + F.mse_loss(scores_fake, zeros) / 2
    logits = F.binary_cross_entropy_with_logits
    return logits(scores_real, ones) + logits(scores_fake, zeros)


def literal_generator_loss(loss, scores):
    ones = torch.ones(len(scores))
    if loss.startswith('WGAN'):
        return -scores.mean()
    if loss == 'LeastSquaresGANLoss':
        return F.mse_loss(scores, ones) / 2
    if loss == 'MinimaxGANLoss':
        return -F.binary_cross_entropy_with_logits(scores, 1 - ones)
    return F.binary_cross_entropy_with_logits(scores, ones)


@pytest.mark.parametrize('steps', [1, 2])
@pytest.mark.parametrize(
    'loss', ['MinimaxGANLoss', 'NonSaturatingGANLoss', 'LeastSquaresGANLoss', 'WGANLoss', 'WGANGPLoss']
)
def test_training_is_that_of_a_literal_loop(loss, steps):
    model = build(loss, discriminator_steps=steps)
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    optimizers = [torch.optim.Adam(network.parameters(), **ADAM) for network in (generator, discriminator)]
    wrapper = build_optim_wrapper(model, OPTIM)
    for step in range(1, 5):
        torch.manual_seed(step)
        log = model.train_step(batch(seed=step), wrapper)
        assert ('loss_generator' in log) == (step % steps == 0)

        torch.manual_seed(step)
        real = (torch.stack(batch(seed=step)['inputs']).float() - 127.5) / 127.5
        fake = generator(torch.randn(4, 5)).detach()
        optimizers[1].zero_grad()
        expected = literal_losses(loss, discriminator, real, fake)
        expected.backward()
        optimizers[1].step()
        assert log['loss_discriminator'].item() == pytest.approx(expected.item(), abs=1e-6)
        if loss == 'WGANLoss':
            with torch.no_grad():
                for parameter in discriminator.parameters():
                    parameter.clamp_(-0.01, 0.01)
        if step % steps == 0:
            optimizers[0].zero_grad()
            literal_generator_loss(loss, discriminator(generator(torch.randn(4, 5)))).backward()
            optimizers[0].step()
        for ours, theirs in ((model.generator, generator), (model.discriminator, discriminator)):
            for key, value in theirs.state_dict().items():
                torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-4, atol=1e-5)


def test_each_step_trains_one_network():
    model = build(discriminator_steps=2)
    wrapper = build_optim_wrapper(model, OPTIM)
    generator = copy.deepcopy(dict(model.generator.named_parameters()))
    model.train_step(batch(), wrapper)  # of the discriminator alone
    assert equal(generator, dict(model.generator.named_parameters()))
    model.train_step(batch(), wrapper)
    assert not equal(generator, dict(model.generator.named_parameters()))
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_is_logged():
    log = build('WGANGPLoss').train_step(batch(), build_optim_wrapper(model := build('WGANGPLoss'), OPTIM))
    assert set(log) == {'loss_real', 'loss_fake', 'loss_penalty', 'loss_discriminator', 'loss_generator'}
    parts = sum(log[f'loss_{part}'] for part in ('real', 'fake', 'penalty'))
    assert log['loss_discriminator'].item() == pytest.approx(parts.item())
    assert model.counter.value == 0


def test_clipped_parameters_stay_clipped():
    model = build(dict(type='WGANLoss', clip_value=0.02))
    wrapper = build_optim_wrapper(model, OPTIM)
    for seed in range(3):
        model.train_step(batch(seed=seed), wrapper)
        largest = max(parameter.abs().max().item() for parameter in model.discriminator.parameters())
        assert largest == pytest.approx(0.02)


def test_predictions_depend_on_the_index_alone():
    model = build().eval()
    data = batch(5)
    together = [sample.fake_img for sample in model.val_step(copy.deepcopy(data))]
    torch.manual_seed(77)
    for index in (4, 0):
        one = {key: values[index : index + 1] for key, values in copy.deepcopy(data).items()}
        assert torch.equal(model.val_step(one)[0].fake_img, together[index])
    assert together[0].dtype == torch.uint8 and together[0].shape == (1, 8, 8)
    assert not torch.equal(together[0], together[1])


def test_pixels():
    values = torch.tensor([-1.0, -0.5, 0.0, 1.0, 1.2]).view(1, 1, 1, 5)
    assert build().pixels(values).flatten().tolist() == [0, 64, 128, 255, 255]  # 127.5 + 127.5 x


def test_generated_images_and_scores_have_their_shapes():
    model = build()
    images = model(torch.zeros(3, 1, 8, 8))
    assert images.shape == (3, 1, 8, 8) and images.abs().max() <= 1
    assert model.discriminator(images).shape == (3,)
    colour = MODELS.build(dict(type='DCGANGenerator', image_size=32, image_channels=3, norm_cfg=None))
    assert colour(torch.zeros(2, colour.noise_dim)).shape == (2, 3, 32, 32)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in colour.modules())


def test_discriminator_with_group_norm():
    model = build(discriminator=dict(norm_cfg=dict(type='GN', num_groups=1)))
    assert [type(module).__name__ for module in model.discriminator.layers].count('GroupNorm') == 1


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(loss='HingeGANLoss'), "GAN: loss.type must be one of .*'LeastSquaresGANLoss'.*found 'HingeGANLoss'"),
        (dict(loss='CrossEntropyLoss'), "GAN: loss.type must be one of .*found 'CrossEntropyLoss'"),
        (
            dict(loss=dict(type='WGANLoss', clip=1)),
            r"GAN: loss: WGANLoss has no setting \['clip'\]; it has \['clip_value'",
        ),
        (dict(discriminator_steps=0), 'GAN: discriminator_steps must be an integer >= 1, found 0'),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


@pytest.mark.parametrize('kind', ['DCGANGenerator', 'DCGANDiscriminator'])
def test_wrong_sizes(kind):
    with pytest.raises(ValueError, match=f'{kind}: image_size must be a multiple of 4, found 30'):
        MODELS.build(dict(type=kind, image_size=30))
    with pytest.raises(ValueError, match=f'{kind}: channels must be an integer >= 1, found 0'):
        MODELS.build(dict(type=kind, channels=0))


@pytest.mark.parametrize('mode', ['loss', 'predict', 'tensor'])
def test_no_images(mode):
    with pytest.raises(ValueError, match='GAN: a batch must be of one image or more, found 0'):
        build()(torch.zeros(0, 1, 8, 8), [], mode=mode)


@pytest.mark.parametrize(
    ('changes', 'found'),
    [
        (dict(generator=None), r"\['discriminator'\]"),
        (dict(critic=dict(optimizer=dict(type='SGD', lr=1))), r"\['critic', 'discriminator', 'generator'\]"),
    ],
)
def test_optimizers_that_do_not_fit(changes, found):
    cfg = {key: value for key, value in {**OPTIM, **changes}.items() if value is not None}
    wanted = rf"optim_wrapper must be a dict of \['discriminator', 'generator'\], found {found}"
    with pytest.raises(ValueError, match=wanted):
        build_optim_wrapper(build(), cfg)


def test_settings_of_parameters_belong_to_a_module():
    with pytest.raises(ValueError, match='OptimPerModule: paramwise_cfg must be None'):
        build_optim_wrapper(build(), dict(OPTIM, paramwise_cfg=dict(norm_decay_mult=0.0)))
    cfg = copy.deepcopy(OPTIM)
    cfg['generator']['paramwise_cfg'] = dict(bias_decay_mult=0.0)
    cfg['generator']['optimizer']['weight_decay'] = 0.1
    wrapper = build_optim_wrapper(build(), cfg)
    assert {group['weight_decay'] for group in wrapper['generator'].param_groups} == {0.0, 0.1}
    assert list(wrapper.keys()) == ['generator', 'discriminator']


def test_two_processes_train_one_gan(tmp_path):
    """Each has images and noise of its own; their gradients are averaged, so that the networks stay the same."""
    first, second = run_in_two(two_gans.process, tmp_path / 'result')
    start = two_gans.gan().state_dict()
    alone = [two_gans.train(two_gans.gan_of(rank), rank, steps=1) for rank in range(2)]
    for key, value in first['often'].items():
        assert torch.equal(value, second['often'][key]), key
        # A constant added to all scores changes neither E D(G(z)) - E D(x) nor the gradient of D
        assert torch.equal(value, start[key]) == (key == 'discriminator.layers.5.bias'), key
        # With SGD, the mean of the steps that each would have made by itself
        torch.testing.assert_close(first['once'][key], (alone[0][key] + alone[1][key]) / 2, atol=1e-6, rtol=1e-5)
