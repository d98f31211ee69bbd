"""YOLOV1Darknet against the tables of the paper and of darknet, written down a second time."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from slf_mmdet.models.backbones import YOLOV1Darknet

# size x channels, /2: stride, M: max-pool. Figure 3 of the paper, column by column.
EXTRACTION = (
    '7x64/2 M 3x192 M 1x128 3x256 1x256 3x512 M '
    '1x256 3x512 1x256 3x512 1x256 3x512 1x256 3x512 1x512 3x1024 M '
    '1x512 3x1024 1x512 3x1024'
)
SIX_POOLED = '3x16 M 3x32 M 3x64 M 3x128 M 3x256 M 3x512 M '
TABLES = {
    'extraction': (EXTRACTION, 448, (1024, 14, 14)),
    'yolo': (EXTRACTION + ' 3x1024 3x1024/2 3x1024 3x1024', 448, (1024, 7, 7)),
    'fast': (SIX_POOLED + '3x1024 3x1024 3x1024', 448, (1024, 7, 7)),
    'tiny': (SIX_POOLED + '3x1024 3x256', 448, (256, 7, 7)),
    'nano': ('5x16/2 M 3x32 M 3x64 M 3x128 1x64 3x128', 112, (128, 7, 7)),
}


def describe(backbone):
    words = []
    for layer, pool in zip(backbone.layers, backbone.pool_after):
        conv = layer.conv
        stride = f'/{conv.stride[0]}' if conv.stride[0] > 1 else ''
        words.append(f'{conv.kernel_size[0]}x{conv.out_channels}{stride}')
        words += ['M'] * pool
    return ' '.join(words)


@pytest.mark.parametrize('arch', TABLES)
def test_layers_and_output_are_those_of_the_table(arch):
    table, pixels, shape = TABLES[arch]
    with torch.device('meta'):  # shapes only: nothing is computed
        backbone = YOLOV1Darknet(arch).eval()
        out = backbone(torch.empty(2, 3, pixels, pixels))
    assert describe(backbone) == table
    assert isinstance(out, tuple)
    assert [tuple(o.shape) for o in out] == [(2, *shape)]
    assert backbone.out_channels == shape[0]
    assert backbone.stride == pixels // shape[1]


def test_extraction_is_the_beginning_of_yolo():
    with torch.device('meta'):
        extraction = YOLOV1Darknet('extraction').state_dict()
        yolo = YOLOV1Darknet('yolo').state_dict()
    shapes = {key: value.shape for key, value in yolo.items()}
    first_20 = {key: shape for key, shape in shapes.items() if int(key.split('.')[1]) < 20}
    assert {key: value.shape for key, value in extraction.items()} == first_20


@pytest.mark.parametrize('norm_cfg', [{'type': 'BN'}, None])
def test_forward_equals_torch_functions(norm_cfg):
    torch.manual_seed(0)
    backbone = YOLOV1Darknet('nano', norm_cfg=norm_cfg).eval()
    for name, tensor in backbone.state_dict().items():
        if name.endswith(('bias', 'running_mean')):
            tensor.normal_()
        elif name.endswith(('bn.weight', 'running_var')):
            tensor.uniform_(0.5, 2)
    state = backbone.state_dict()
    x = images = torch.randn(2, 3, 32, 48)
    for i, (size, stride, pool) in enumerate(
        [(5, 2, True), (3, 1, True), (3, 1, True), (3, 1, False), (1, 1, False), (3, 1, False)]
    ):
        layer = {key.removeprefix(f'layers.{i}.'): value for key, value in state.items()}
        x = F.conv2d(x, layer['conv.weight'], layer.get('conv.bias'), stride, size // 2)
        if norm_cfg:
            statistics = layer['bn.running_mean'], layer['bn.running_var']
            x = F.batch_norm(x, *statistics, layer['bn.weight'], layer['bn.bias'], eps=1e-5)
        x = torch.where(x > 0, x, 0.1 * x)
        if pool:
            x = F.max_pool2d(x, 2)
    torch.testing.assert_close(backbone(images)[0], x)


def test_keys_without_normalisation():
    keys = list(YOLOV1Darknet('nano', norm_cfg=None).state_dict())
    assert keys == [f'layers.{i}.conv.{name}' for i in range(6) for name in ('weight', 'bias')]


def test_frozen_convolutions_neither_learn_nor_count():
    torch.manual_seed(0)
    backbone = YOLOV1Darknet('nano', frozen_stages=2).train()
    backbone(torch.randn(2, 3, 32, 32))[0].sum().backward()
    for i, layer in enumerate(backbone.layers):
        frozen = i < 2
        assert layer.bn.num_batches_tracked == (0 if frozen else 1)
        assert all((p.grad is None) == frozen for p in layer.parameters())


def test_norm_eval_keeps_the_statistics_but_trains_the_weights():
    backbone = YOLOV1Darknet('nano', norm_eval=True).train()
    backbone(torch.randn(2, 3, 32, 32))[0].sum().backward()
    assert all(layer.bn.num_batches_tracked == 0 for layer in backbone.layers)
    assert all(p.grad is not None for p in backbone.parameters())


def test_initialisation_keeps_the_variance_through_leaky_relus():
    # gain^2 = 2 / (1 + 0.1^2); fan-in of the fourth convolution is 64 * 3 * 3
    torch.manual_seed(0)
    backbone = YOLOV1Darknet('nano')
    torch.nn.init.zeros_(backbone.layers[3].bn.weight)
    backbone.init_weights()
    expected = (2 / (1 + 0.1**2) / (64 * 9)) ** 0.5
    assert backbone.layers[3].conv.weight.std().item() == pytest.approx(expected, rel=0.02)
    assert (backbone.layers[3].bn.weight == 1).all()


def test_pretrained_extraction_is_loaded_into_yolo(tmp_path, monkeypatch):
    from slf_mmdet.models.backbones.yolov1_darknet import ARCHS

    monkeypatch.setitem(ARCHS, 'start', ARCHS['nano'][:3])
    torch.manual_seed(0)
    start = YOLOV1Darknet('start').state_dict()
    path = str(tmp_path / 'start.pth')
    torch.save({'state_dict': start}, path)
    backbone = YOLOV1Darknet('nano', init_cfg={'type': 'Pretrained', 'checkpoint': path})
    backbone.init_weights()
    assert all(torch.equal(backbone.state_dict()[key], value) for key, value in start.items())


def test_is_built_from_a_config():
    backbone = MODELS.build({'type': 'YOLOV1Darknet', 'arch': 'nano', 'in_channels': 1})
    assert backbone(torch.zeros(1, 1, 32, 48))[0].shape == (1, 128, 2, 3)


def test_unknown_arch_is_refused():
    with pytest.raises(ValueError, match="one of extraction, fast, .*, yolo; found 'yolov3'"):
        YOLOV1Darknet('yolov3')


def test_freezing_more_than_there_is_is_refused():
    with pytest.raises(ValueError, match="'nano' has 6; found 7"):
        YOLOV1Darknet('nano', frozen_stages=7)


def test_channels_last_changes_the_memory_format_only():
    plain, other = YOLOV1Darknet('nano').eval(), YOLOV1Darknet('nano', channels_last=True).eval()
    other.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        (expected,), (out,) = plain(images), other(images)
    assert out.is_contiguous(memory_format=torch.channels_last) and expected.is_contiguous()
    torch.testing.assert_close(out, expected)
