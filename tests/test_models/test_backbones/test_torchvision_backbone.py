"""TorchVisionBackbone against torchvision's own networks, cut by hand."""

import copy
import os
from pathlib import Path

import pytest
import torch
import torchvision
from mmdet.registry import MODELS
from torch import nn

from slf_mmdet.models.backbones import TorchVisionBackbone

SHARED = Path(os.environ.get('SLF_SHARED', Path(__file__).parents[4] / 'shared'))


def children_before(name):
    """The children of a network up to one of them, in a row."""

    def cut(network):
        names = [child for child, _ in network.named_children()]
        return nn.Sequential(*list(network.children())[: names.index(name)])

    return cut


def features(network):
    return network.features


# name, options, the same part taken from torchvision's network by hand
PARTS = [
    ('squeezenet1_1', {}, features),
    ('mobilenet_v3_small', {}, features),
    ('densenet121', {}, lambda network: nn.Sequential(network.features, nn.ReLU())),
    ('resnet18', {}, children_before('avgpool')),
    ('resnet18', {'out_layer': 'layer2'}, children_before('layer3')),
    ('shufflenet_v2_x0_5', {}, children_before('fc')),
    ('swin_t', {}, children_before('avgpool')),
    ('squeezenet1_1', {'out_layer': 'features.4'}, lambda network: network.features[:5]),
    ('alexnet', {}, features),
    ('alexnet', {'drop_last_pool': True}, lambda network: network.features[:-1]),
]


@pytest.fixture(scope='module')
def whole_networks(tmp_path_factory):
    """Random networks of torchvision with their state dict in a file, one per name."""
    folder = tmp_path_factory.mktemp('weights')
    made = {}

    def make(name):
        if name not in made:
            torch.manual_seed(0)
            network = torchvision.models.get_model(name, weights=None)
            for key, buffer in network.named_buffers():
                if key.endswith('running_var'):
                    buffer.uniform_(0.5, 2)
            path = folder / f'{name}.pth'
            torch.save(network.state_dict(), path)
            made[name] = (network, str(path))
        return made[name]

    return make


@pytest.mark.parametrize(('name', 'options', 'cut'), PARTS)
def test_equals_the_part_of_torchvisions_network(name, options, cut, whole_networks):
    network, path = whole_networks(name)
    backbone = TorchVisionBackbone(name, weights=path, **options)
    backbone.init_weights()
    part = cut(network).eval()
    images = torch.randn(2, 3, 64, 96)
    (out,) = backbone.eval()(images)
    torch.testing.assert_close(out, part(images))
    assert backbone.out_channels == out.shape[1]
    whole = network.state_dict()
    kept = backbone.state_dict()
    assert all(torch.equal(value, whole[key]) for key, value in kept.items())
    assert len(kept) == len(part.state_dict())


def test_batch_statistics_are_used_in_training(whole_networks):
    network, path = whole_networks('resnet18')
    backbone = TorchVisionBackbone('resnet18', weights=path)
    backbone.init_weights()
    part = copy.deepcopy(children_before('avgpool')(network)).train()
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(backbone.train()(images)[0], part(images))
    assert backbone.bn1.num_batches_tracked == 1


@pytest.mark.filterwarnings('ignore:The default weight initialization:FutureWarning')
def test_googlenet_weights_get_the_input_range_they_were_trained_with(tmp_path):
    # mean 0.485 and deviation 0.229 become 0.5 and 0.5: x * 0.229 / 0.5 + (0.485 - 0.5) / 0.5
    network = torchvision.models.googlenet(weights=None, init_weights=False)
    path = str(tmp_path / 'googlenet.pth')
    torch.save(network.state_dict(), path)
    own = TorchVisionBackbone('googlenet', out_layer='conv1').eval()
    pretrained = TorchVisionBackbone('googlenet', weights=path, out_layer='conv1').eval()
    own.load_state_dict(network.state_dict(), strict=False)
    pretrained.init_weights()
    images = torch.randn(1, 3, 32, 32)
    scale = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) / 0.5
    shift = (torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) - 0.5) / 0.5
    torch.testing.assert_close(pretrained(images)[0], own(images * scale + shift)[0])


@pytest.mark.parametrize('wrapper', ['state_dict', 'model'])
def test_file_of_the_kept_part_alone(wrapper, whole_networks, tmp_path):
    network, _ = whole_networks('squeezenet1_1')
    part = {key: value for key, value in network.state_dict().items() if 'features' in key}
    path = str(tmp_path / 'part.pth')
    torch.save({wrapper: part, 'epoch': 3}, path)
    backbone = TorchVisionBackbone('squeezenet1_1', weights=path)
    backbone.init_weights()
    assert all(torch.equal(value, part[key]) for key, value in backbone.state_dict().items())


def test_real_squeezenet_file():
    path = SHARED / 'data' / 'squeezenet1_1_features_rgb.pth'
    if not path.exists():
        pytest.skip(f'{path} is absent: set SLF_SHARED to the folder with data/')
    backbone = TorchVisionBackbone('squeezenet1_1', weights=str(path), frozen=True)
    backbone.init_weights()
    state = torch.load(path, weights_only=True)
    assert {key: value.shape for key, value in backbone.state_dict().items()} == {
        key: value.shape for key, value in state.items()
    }
    assert torch.equal(backbone.state_dict()['features.0.weight'], state['features.0.weight'])


def test_published_weights_are_fetched_by_init_weights_and_once(monkeypatch, whole_networks):
    network, _ = whole_networks('resnet18')
    fetched = []

    def fetch(url, *args, **kwargs):
        fetched.append(url)
        return network.state_dict()

    monkeypatch.setattr('torchvision.models._api.load_state_dict_from_url', fetch)
    backbone = TorchVisionBackbone('resnet18', weights='DEFAULT')
    assert not fetched
    backbone.init_weights()
    assert fetched == [torchvision.models.ResNet18_Weights.DEFAULT.url]
    assert torch.equal(backbone.conv1.weight, network.conv1.weight)
    nn.init.zeros_(backbone.conv1.weight)
    backbone.init_weights()  # a second call leaves the module alone, as in mmengine
    assert len(fetched) == 1
    assert not backbone.conv1.weight.any()


def test_all_frozen_stays_as_loaded():
    backbone = TorchVisionBackbone('resnet18', frozen=True).train()
    before = copy.deepcopy(backbone.state_dict())
    (out,) = backbone(torch.randn(2, 3, 64, 64))
    assert not out.requires_grad
    assert not any(module.training for module in backbone.modules())
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_first_stages_frozen():
    # stages of a ResNet: conv1, bn1, relu, maxpool, layer1, ...
    backbone = TorchVisionBackbone('resnet18', frozen=5).train()
    backbone(torch.randn(2, 3, 64, 64))[0].sum().backward()
    learns = {name: any(p.grad is not None for p in child.parameters()) for name, child in backbone.named_children()}
    assert learns == {
        **dict.fromkeys(('conv1', 'bn1', 'relu', 'maxpool', 'layer1'), False),
        **dict.fromkeys(('layer2', 'layer3', 'layer4'), True),
    }
    counted = {
        name.split('.')[0]: bool(buffer)
        for name, buffer in backbone.named_buffers()
        if name.endswith('num_batches_tracked')
    }
    assert counted == {
        'bn1': False,
        'layer1': False,
        'layer2': True,
        'layer3': True,
        'layer4': True,
    }


def test_stages_are_the_children_of_features():
    backbone = TorchVisionBackbone('squeezenet1_1', frozen=4)
    trained = {name.split('.')[1] for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {'4', '6', '7', '9', '10', '11', '12'}  # 5 and 8 are pools


def test_norm_eval():
    backbone = TorchVisionBackbone('resnet18', norm_eval=True).train()
    backbone(torch.randn(2, 3, 64, 64))[0].sum().backward()
    assert backbone.bn1.num_batches_tracked == 0
    assert backbone.bn1.weight.grad is not None


def test_channels_last_changes_the_memory_format_only(whole_networks):
    _, path = whole_networks('squeezenet1_1')
    images = torch.randn(2, 3, 64, 64)
    outs = {}
    for channels_last in (False, True):
        backbone = TorchVisionBackbone('squeezenet1_1', weights=path, channels_last=channels_last)
        backbone.init_weights()
        (outs[channels_last],) = backbone.eval()(images)
    assert outs[True].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(outs[True], outs[False])


def test_copy_is_independent():
    backbone = TorchVisionBackbone('squeezenet1_1').eval()
    twin = copy.deepcopy(backbone)
    images = torch.randn(1, 3, 64, 64)
    before = backbone(images)[0]
    assert torch.equal(twin(images)[0], before)
    for parameter in twin.parameters():
        nn.init.zeros_(parameter)
    assert not twin(images)[0].any()
    assert torch.equal(backbone(images)[0], before)


def test_is_built_from_a_config():
    backbone = MODELS.build({'type': 'TorchVisionBackbone', 'model': 'squeezenet1_1'})
    assert backbone.out_channels == 512


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model': 'resnet81'}, "no classification network 'resnet81' .*resnet18"),
        (
            {'model': 'resnet50', 'weights': 'IMAGENET1K_V9'},
            'resnet50 has no weights .*IMAGENET1K_V1, IMAGENET1K_V2',
        ),
        ({'model': 'resnet18', 'out_layer': 'layer5'}, "no layer 'layer5' .close: layer"),
        ({'model': 'resnet18', 'drop_last_pool': True}, "'layer4.1.relu_1', which is not a max"),
        ({'model': 'squeezenet1_1', 'frozen': 14}, 'squeezenet1_1 has 13 here; found 14'),
        ({'model': 'resnet18', 'out_layer': 'fc'}, 'tensor of 2 dimensions, not a feature map'),
        (
            {'model': 'resnet18', 'weights': 'DEFAULT', 'init_cfg': {'type': 'Pretrained'}},
            'give one of them',
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TorchVisionBackbone(**options)


def test_absent_file_is_named_only_when_it_is_needed(tmp_path):
    path = str(tmp_path / 'absent.pth')
    backbone = TorchVisionBackbone('squeezenet1_1', weights=path)
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        backbone.init_weights()


def test_file_of_another_network_is_refused(whole_networks):
    _, path = whole_networks('squeezenet1_1')
    backbone = TorchVisionBackbone('resnet18', weights=path)
    with pytest.raises(ValueError, match='lacks 100 of the 120 .*conv1.weight.*features.0.weight'):
        backbone.init_weights()


def test_file_of_another_width_is_refused(whole_networks):
    _, path = whole_networks('shufflenet_v2_x0_5')
    backbone = TorchVisionBackbone('shufflenet_v2_x1_0', weights=path)
    with pytest.raises(ValueError, match=r'\(24, 24, 1, 1\).*instead of'):
        backbone.init_weights()
