"""Perceptual and style losses beside torchvision's network cut by hand, and literal sums."""

import pytest
import torch
import torchvision
from mmdet.registry import MODELS

from slf_mmdet.losses import PerceptualLoss, gram_matrix, style_distance, total_variation

SQUEEZENET = dict(type='TorchVisionBackbone', model='squeezenet1_1')
RESNET = dict(type='ResNet', depth=18, base_channels=4, style='pytorch')


def images(count=2, size=(40, 33), seed=0):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def build(kind='PerceptualLoss', network=SQUEEZENET, **settings):
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, network=network, **settings))


def reference():
    torch.manual_seed(0)
    return torchvision.models.squeezenet1_1().features.eval()


def normalised(x):
    mean, std = ([[[v / 255]] for v in values] for values in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    return (x - torch.tensor(mean)) / torch.tensor(std)


def test_is_that_of_the_networks_layers():
    loss = build(layers={'features.1': 2.0, 'features.5': 0.5}, loss_weight=3.0)
    net, pred, true = reference(), images(), images(seed=1)
    loss.network.load_state_dict({f'features.{key}': value for key, value in net.state_dict().items()})
    expected = 0
    with torch.no_grad():
        for end, weight in ((2, 2.0), (6, 0.5)):
            ours, theirs = (net[:end](normalised(x)) for x in (pred, true))
            for i in range(2):
                expected += 3 * weight * ((ours[i] - theirs[i]) ** 2).sum() / ours[i].numel() / 2
    torch.testing.assert_close(loss(pred, true), expected)


def test_a_layer_before_an_in_place_operation_keeps_its_output():
    """Torchvision's ReLU overwrites it."""
    loss, net = build(layers={'features.0': 1.0}), reference()
    loss.network.load_state_dict({f'features.{key}': value for key, value in net.state_dict().items()})
    found = loss.features(images())['features.0']
    torch.testing.assert_close(found, net[0](normalised(images())))
    assert (found < 0).any()


def test_gram_matrix_equals_a_literal_sum():
    features = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    for matrix, maps in zip(gram_matrix(features), features):
        for a in range(3):
            for b in range(3):
                expected = sum(maps[a, y, x] * maps[b, y, x] for y in range(4) for x in range(5)) / 60
                torch.testing.assert_close(matrix[a, b], expected)


def test_style_does_not_depend_on_the_place():
    features = torch.randn(2, 6, 8, 9, generator=torch.Generator().manual_seed(0))
    moved = features.flatten(2)[..., torch.randperm(72)].view_as(features)
    torch.testing.assert_close(style_distance(features, moved), torch.zeros(2), atol=1e-10, rtol=0)
    assert (style_distance(features, features[:, torch.arange(5, -1, -1)]) > 1e-4).all()
    assert style_distance(features, features[..., :4]).shape == (2,)  # of another size
    # the squared differences of the Gram matrices [[1]] and [[4]]
    assert style_distance(torch.ones(1, 1, 2, 2), torch.full((1, 1, 3, 1), 2.0)).item() == 9


def test_total_variation_equals_a_literal_sum():
    x = images(1, (4, 5))
    rows = sum(abs(x[0, c, i + 1, j] - x[0, c, i, j]) for c in range(3) for i in range(3) for j in range(5)) / 45
    columns = sum(abs(x[0, c, i, j + 1] - x[0, c, i, j]) for c in range(3) for i in range(4) for j in range(4)) / 48
    torch.testing.assert_close(total_variation(x), (rows + columns)[None])
    loss = MODELS.build(dict(type='TotalVariationLoss', loss_weight=2.0))
    torch.testing.assert_close(loss(x, None), 2 * (rows + columns))


@pytest.mark.parametrize('kind', ['PerceptualLoss', 'StyleLoss'])
@pytest.mark.parametrize(
    ('network', 'layer'), [(SQUEEZENET, 'features.5'), (RESNET, 'layer1.0')], ids=['torchvision', 'mmdet']
)
def test_trains_the_image_and_not_the_network(kind, network, layer):
    loss = build(kind, network, layers={layer: 1.0}).train()
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    assert not any(module.training for module in loss.network.modules())
    pred, true = images().requires_grad_(), images(seed=1)
    assert loss(true, true) == 0
    value = loss(pred, true)
    value.backward()
    assert value > 0 and pred.grad.any()
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    assert all(torch.equal(value, before[key]) for key, value in loss.state_dict().items())


def test_weights_are_loaded_by_init_weights(tmp_path):
    network = torchvision.models.squeezenet1_1()
    torch.save(network.state_dict(), tmp_path / 'net.pth')
    loss = build(network=dict(SQUEEZENET, weights=str(tmp_path / 'net.pth')), layers={'features.1': 1.0})
    loss.init_weights()
    torch.testing.assert_close(loss.network.state_dict()['features.0.weight'], network.features[0].weight.detach())


def test_errors():
    with pytest.raises(ValueError, match='PerceptualLoss: layers must be a dict of at least one layer'):
        build(layers={})
    with pytest.raises(ValueError, match='layers must be a dict .* found {.features.1.: -1}'):
        build(layers={'features.1': -1})
    with pytest.raises(ValueError, match="TorchVisionBackbone has no submodule 'feature.1'; close to it: features.1"):
        build(layers={'feature.1': 1.0})
    loss = build(layers={'features.4': 1.0})  # a block, of which torchvision calls the parts
    assert isinstance(loss, PerceptualLoss)
    with pytest.raises(ValueError, match=r"\['features.4'\] .* give no feature map.* consists of features.4.squeeze"):
        loss(images(), images())


def test_the_gram_matrix_of_no_images_is_empty():
    assert gram_matrix(torch.zeros(0, 3, 4, 5)).shape == (0, 3, 3)
