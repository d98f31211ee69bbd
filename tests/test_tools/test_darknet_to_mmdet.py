"""The darknet converter against a writer and a network taken literally from darknet."""

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.runner import load_checkpoint
from torch import nn

from slf_mmdet.models import darknet_weights
from slf_mmdet.models.backbones import YOLOV1Darknet
from slf_mmdet.models.backbones.yolov1_darknet import ARCHS, ConvSpec

TOOL = Path(__file__).parents[2] / 'tools' / 'model_converters' / 'darknet_to_mmdet.py'
VERSIONS = [(0, 1, 0), (0, 2, 5), (1001, 0, 0)]

# A detector in small: 16x16 images, a 4x4 and then a 2x2 map, 2 boxes and 3 classes per cell.
MINI = (ConvSpec(4, 3, 2, pool=True), ConvSpec(6, 1, pool=True))
GRID = darknet_weights.Grid(size=2, boxes=2, classes=3)
LOCAL_CHANNELS = 5


@pytest.fixture(autouse=True)
def mini_arch(monkeypatch):
    monkeypatch.setitem(ARCHS, 'mini', MINI)


def random_convolution(rng, n, c, k, batch_norm=True):
    layer = {'bias': rng.normal(size=n), 'weight': rng.normal(size=(n, c, k, k))}
    if batch_norm:
        layer['scale'] = rng.uniform(0.5, 2, n)
        layer['mean'] = rng.normal(size=n)
        layer['variance'] = rng.uniform(0.5, 2, n)
    return {name: value.astype(np.float32) for name, value in layer.items()}


def random_network(seed=0, with_local=True, batch_norm=True):
    """The layers of the small detector, as darknet holds them in memory."""
    rng = np.random.default_rng(seed)
    channels = LOCAL_CHANNELS if with_local else 6
    outputs = 2 * 2 * (2 * 5 + 3)
    network = {
        'conv0': random_convolution(rng, 4, 3, 3, batch_norm),
        'conv1': random_convolution(rng, 6, 4, 1, batch_norm),
        'local': {
            'bias': rng.normal(size=LOCAL_CHANNELS * 4).astype(np.float32),
            'weight': rng.normal(size=(4, LOCAL_CHANNELS, 6 * 3 * 3)).astype(np.float32),
        },
        'connected': {
            'bias': rng.normal(size=outputs).astype(np.float32),
            'weight': rng.normal(size=(outputs, channels * 4)).astype(np.float32),
        },
    }
    if not with_local:
        del network['local']
    return network


def write_darknet(path, network, version=(0, 2, 5), seen=640):
    """Writes what darknet's save_weights would."""
    with open(path, 'wb') as file:
        file.write(struct.pack('<iii', *version))
        file.write(struct.pack('<Q' if version == (0, 2, 5) else '<i', seen))
        for name, layer in network.items():
            file.write(layer['bias'].astype('<f4').tobytes())
            for statistic in ('scale', 'mean', 'variance'):
                if statistic in layer:
                    file.write(layer[statistic].astype('<f4').tobytes())
            weight = layer['weight']
            if name == 'connected' and version[0] > 1000:
                weight = weight.T
            file.write(weight.astype('<f4').tobytes())
    return str(path)


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def darknet_convolution(x, layer, stride):
    weight = layer['weight'].astype(np.float64)
    n, _, k, _ = weight.shape
    padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    side = (x.shape[1] + 2 * (k // 2) - k) // stride + 1
    out = np.empty((n, side, side))
    for i in range(side):
        for j in range(side):
            patch = padded[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = (weight * patch).sum(axis=(1, 2, 3))
    if 'scale' in layer:
        column = {name: layer[name].reshape(-1, 1, 1) for name in ('scale', 'mean', 'variance')}
        out = (out - column['mean']) / np.sqrt(column['variance'] + 1e-5) * column['scale']
    return leaky(out + layer['bias'].reshape(-1, 1, 1))


def max_pool(x):
    c, h, w = x.shape
    return x.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))


def darknet_local(x, layer):
    _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = layer['bias'].reshape(-1, h, w).astype(np.float64)
    for location in range(h * w):
        i, j = divmod(location, w)
        column = padded[:, i : i + 3, j : j + 3].reshape(-1)  # im2col: channel, row, column
        out[:, i, j] += layer['weight'][location] @ column
    return leaky(out)


def darknet_features(network, image):
    x = max_pool(darknet_convolution(image, network['conv0'], stride=2))
    return max_pool(darknet_convolution(x, network['conv1'], stride=1))


def darknet_detections(network, image):
    """Output by cell, row by row: the channels of our head, found as detection_layer.c does."""
    x = darknet_features(network, image)
    if 'local' in network:
        x = darknet_local(x, network['local'])
    output = network['connected']['weight'] @ x.reshape(-1) + network['connected']['bias']
    size, boxes, classes = GRID
    locations = size * size
    cells = []
    for i in range(locations):
        cell = []
        for j in range(boxes):
            p_index = locations * classes + i * boxes + j
            box_index = locations * (classes + boxes) + (i * boxes + j) * 4
            cell += [*output[box_index : box_index + 4], output[p_index]]
        class_index = i * classes
        cells.append(cell + list(output[class_index : class_index + classes]))
    return np.array(cells).reshape(size, size, -1)


def build_detector(with_local, arch='mini', grid=GRID, local_channels=LOCAL_CHANNELS):
    backbone = YOLOV1Darknet(arch)
    head = MODELS.build(
        {
            'type': 'YOLOV1Head',
            'num_classes': grid.classes,
            'in_channels': backbone.out_channels,
            'grid_size': grid.size,
            'boxes_per_cell': grid.boxes,
            'head_type': 'local' if with_local else 'fc',
            'hidden_channels': (local_channels,) if with_local else (),
        }
    )
    return nn.ModuleDict({'backbone': backbone, 'bbox_head': head})


def converted(path, with_local):
    layout = darknet_weights.detector_layout('mini', GRID, local_channels=LOCAL_CHANNELS if with_local else None)
    return darknet_weights.convert_weights(path, [layout])


@pytest.mark.parametrize('with_local', [True, False])
@pytest.mark.parametrize('version', VERSIONS)
def test_converted_detector_equals_darknet(version, with_local, tmp_path):
    network = random_network(with_local=with_local)
    path = write_darknet(tmp_path / 'mini.weights', network, version)
    detector = build_detector(with_local).eval()
    keys = detector.load_state_dict(converted(path, with_local)['state_dict'], strict=False)
    assert not keys.unexpected_keys
    own = ('loss_balancer', 'num_batches_tracked')  # not of darknet
    assert all(any(name in key for name in own) for key in keys.missing_keys)

    images = np.random.default_rng(1).normal(size=(2, 3, 16, 16))
    with torch.no_grad():
        features = detector['backbone'](torch.from_numpy(images).float())
        (out,) = detector['bbox_head'](features)
    for image, ours in zip(images, out.permute(0, 2, 3, 1)):
        expected = torch.from_numpy(darknet_detections(network, image)).float()
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('batch_norm', [True, False])
@pytest.mark.parametrize('with_classifier', [True, False])
def test_extraction_initialises_the_backbone(batch_norm, with_classifier, tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHS, 'extraction', MINI)
    network = random_network(batch_norm=batch_norm)
    del network['local'], network['connected']
    if with_classifier:
        network['classifier'] = {'bias': np.ones(1000), 'weight': np.ones((1000, 6))}
    src = write_darknet(tmp_path / 'extraction.weights', network, (0, 1, 0))
    dst = tmp_path / 'extraction.pth'
    run_tool(['extraction', src, str(dst)])

    monkeypatch.setitem(ARCHS, 'yolo', (*MINI, ConvSpec(7)))
    backbone = YOLOV1Darknet(
        'yolo',
        norm_cfg={'type': 'BN'} if batch_norm else None,
        init_cfg={'type': 'Pretrained', 'checkpoint': str(dst)},
    )
    backbone.init_weights()
    backbone.eval().layers[2] = nn.Identity()
    image = np.random.default_rng(1).normal(size=(3, 16, 16))
    (out,) = backbone(torch.from_numpy(image)[None].float())
    expected = torch.from_numpy(darknet_features(network, image)).float()
    torch.testing.assert_close(out[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('kind', ['yolov1', 'tiny-yolov1'])
@pytest.mark.parametrize('num_classes', [20, 3])
def test_full_size_layouts_have_the_keys_and_shapes_of_the_detectors(kind, num_classes):
    with_local = kind == 'yolov1'
    arch, boxes = ('yolo', 3) if with_local else ('tiny', 2)
    grid = darknet_weights.Grid(7, boxes, num_classes)
    with torch.device('meta'):
        detector = build_detector(with_local, arch, grid, local_channels=256)
    own = ('loss_balancer', 'num_batches_tracked')
    expected = {
        key: tuple(value.shape) for key, value in detector.state_dict().items() if not any(name in key for name in own)
    }
    (layout,) = darknet_weights.KINDS[kind](num_classes)
    assert {array.key: array.shape for array in layout.arrays} == expected


def test_full_size_extraction_has_the_keys_and_shapes_of_the_backbone():
    for layout in darknet_weights.KINDS['extraction'](20):
        norm_cfg = None if 'biased' in layout.name else {'type': 'BN'}
        with torch.device('meta'):
            state = YOLOV1Darknet('extraction', norm_cfg=norm_cfg).state_dict()
        expected = {key: tuple(value.shape) for key, value in state.items() if 'num_batches_tracked' not in key}
        assert {array.key: array.shape for array in layout.arrays if array.key} == expected


def test_output_sizes_are_those_of_the_cfg_files():
    # output= of the last [connected]: 1715 in yolov1.cfg, 1470 in yolov1-tiny.cfg
    sizes = {kind: darknet_weights.KINDS[kind](20)[0].arrays[-2].shape for kind in ('yolov1', 'tiny-yolov1')}
    assert sizes == {'yolov1': (1715,), 'tiny-yolov1': (1470,)}


def test_order_of_one_cell_by_hand():
    # one cell, darknet: scores 0 1 2, confidences 3 4, boxes 5-8 and 9-12
    order = darknet_weights.output_order(darknet_weights.Grid(1, 2, 3))
    assert order.tolist() == [5, 6, 7, 8, 3, 9, 10, 11, 12, 4, 0, 1, 2]


@pytest.mark.parametrize(
    ('version', 'size', 'transposed'),
    [((0, 1, 0), 16, False), ((0, 2, 5), 20, False), ((1001, 0, 0), 16, True)],
)
def test_header(version, size, transposed, tmp_path):
    path = write_darknet(tmp_path / 'mini.weights', random_network(), version, seen=12345)
    header = darknet_weights.read_header(path)
    assert header == (version, 12345, size)
    assert header.is_transposed == transposed


def test_checkpoint_says_where_it_comes_from(tmp_path):
    path = write_darknet(tmp_path / 'mini.weights', random_network(), seen=777)
    meta = converted(path, with_local=True)['meta']
    assert meta['converted_from'] == 'mini.weights'
    assert meta['darknet_version'] == '0.2.5'
    assert meta['images_seen'] == 777
    assert 'dataset_meta' not in meta  # 3 classes are not PASCAL VOC's 20


def test_detector_of_20_classes_brings_the_names_of_pascal_voc(tmp_path):
    layout = darknet_weights.detector_layout('mini', darknet_weights.Grid(2, 1, 20))
    path = tmp_path / 'voc.weights'
    path.write_bytes(struct.pack('<iiii', 0, 1, 0, 0) + bytes(layout.num_bytes))
    checkpoint = darknet_weights.convert_weights(str(path), [layout])
    darknet_weights.save_checkpoint(checkpoint, str(tmp_path / 'voc.pth'))
    meta = torch.load(tmp_path / 'voc.pth', weights_only=True)['meta']
    # the order of darknet's scripts/voc_label.py
    assert meta['dataset_meta']['classes'][:3] == ('aeroplane', 'bicycle', 'bird')
    assert meta['dataset_meta']['classes'][-2:] == ('train', 'tvmonitor')


@pytest.mark.parametrize('change', [-4, -1, 1, 4])
def test_file_of_another_size_is_refused(change, tmp_path):
    path = Path(write_darknet(tmp_path / 'mini.weights', random_network()))
    whole = path.read_bytes()
    path.write_bytes(whole[:change] if change < 0 else whole + b'\0' * change)
    message = f'mini.weights: has {len(whole) + change:,} bytes, expected {len(whole):,} for mini'
    with pytest.raises(ValueError, match=message):
        converted(str(path), with_local=True)


def test_file_without_a_whole_header_is_refused(tmp_path):
    path = tmp_path / 'empty.weights'
    path.write_bytes(b'\0' * 10)
    with pytest.raises(ValueError, match='10 bytes are too few'):
        darknet_weights.read_header(str(path))


def run_tool(args):
    spec = importlib.util.spec_from_file_location('darknet_to_mmdet', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.main(args)


def small_kind(num_classes):
    grid = darknet_weights.Grid(2, 2, num_classes)
    return [darknet_weights.detector_layout('mini', grid, LOCAL_CHANNELS)]


def test_tool_writes_a_checkpoint_that_mmengine_loads(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(darknet_weights.KINDS, 'yolov1', small_kind)
    src = write_darknet(tmp_path / 'mini.weights', random_network())
    dst = tmp_path / 'folder' / 'mini.pth'
    run_tool(['yolov1', src, str(dst), '--num-classes', '3'])
    detector = build_detector(with_local=True)
    load_checkpoint(detector, str(dst))
    state = torch.load(dst, weights_only=True)['state_dict']
    assert all(torch.equal(detector.state_dict()[key], value) for key, value in state.items())
    assert 'after 640 images' in capsys.readouterr().out
    assert [path.name for path in dst.parent.iterdir()] == ['mini.pth']


def test_tool_leaves_an_old_checkpoint_alone_when_it_fails(tmp_path, monkeypatch):
    monkeypatch.setitem(darknet_weights.KINDS, 'yolov1', small_kind)
    src = write_darknet(tmp_path / 'mini.weights', random_network())
    dst = tmp_path / 'mini.pth'
    dst.write_bytes(b'old')

    def full_disk(checkpoint, path):
        Path(path).write_bytes(b'half')
        raise OSError('no space left')

    monkeypatch.setattr(torch, 'save', full_disk)
    with pytest.raises(SystemExit, match='no space left'):
        run_tool(['yolov1', src, str(dst), '--num-classes', '3'])
    assert dst.read_bytes() == b'old'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['mini.pth', 'mini.weights']


def test_tool_explains_a_wrong_file(tmp_path):
    src = write_darknet(tmp_path / 'mini.weights', random_network())
    with pytest.raises(SystemExit, match='for tiny, 2 boxes and 20 classes in 7x7 cells'):
        run_tool(['tiny-yolov1', src, str(tmp_path / 'out.pth')])
    with pytest.raises(SystemExit, match='absent.weights'):
        run_tool(['yolov1', 'absent.weights', str(tmp_path / 'out.pth')])
