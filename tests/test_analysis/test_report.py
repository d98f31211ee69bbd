"""The report of a run, opened in a browser without a network."""

import json
import re
import shutil

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from slf_mmdet.analysis import Curve
from slf_mmdet.analysis.config_changes import changes
from slf_mmdet.analysis.report import find_pictures, write_report
from slf_mmdet.analysis.report_figures import draw_progress

from ..helpers import CONFIGS, DIGITS_SLF

pytestmark = pytest.mark.integration


@pytest.fixture
def open_report(make_work_dir, browser, tmp_path):
    """The page of a run's report; whatever it asks for beyond itself, or says to the console, is an error."""
    complaints = []

    def opened(**kwargs):
        out = tmp_path / 'elsewhere' / 'report.html'
        write_report([make_work_dir(**kwargs)], out)
        page.goto(out.as_uri())
        return page

    page = browser.new_page(viewport=dict(width=1000, height=800))
    page.context.set_offline(True)
    page.on('console', lambda message: complaints.append(message.text))
    page.on('pageerror', lambda error: complaints.append(str(error)))
    page.on(
        'request',
        lambda request: None if request.url.startswith(('data:', 'file:')) else complaints.append(request.url),
    )
    yield opened
    page.close()
    assert complaints == []


def table(page, selector):
    rows = page.locator(f'{selector} tr').all()
    return [[cell.inner_text().strip() for cell in row.locator('th, td').all()] for row in rows]


@pytest.mark.slow
def test_results(open_report):
    page = open_report()
    assert page.title() == page.locator('h1').inner_text() == 'slf_seed7'
    summary = dict(table(page, '#summary'))
    assert summary['Iterations'] == '40' and summary['Time per iteration'] == '100 ms (median)'
    assert summary['pascal_voc/mAP, last'] == '0.5000' and summary['seed'] == '7'
    assert table(page, '.metrics') == [['step', 'pascal_voc/mAP'], ['1', '0.7500'], ['2', '0.5000']]
    assert page.locator('.metrics .best').all_inner_texts() == ['0.7500']
    assert table(page, '.classes') == [
        ['class', 'AP', '', 'recall', 'objects'],
        ['zero', '0.863', '', '0.967', '12'],
        ['a dog', '0.250', '', '1.000', '3'],
    ]
    width = [bar.bounding_box()['width'] for bar in page.locator('.bar div').all()]
    assert width[0] / width[1] == pytest.approx(0.863 / 0.25, rel=0.02)


def test_pictures_are_in_the_file_and_drawn(open_report):
    page = open_report()
    sizes = page.evaluate(
        '[...document.images].map(i => [i.complete, i.naturalWidth, i.getBoundingClientRect().width])'
    )
    assert len(sizes) == 3 + 3  # three figures, three detections
    assert all(complete and natural > 100 and shown > 100 for complete, natural, shown in sizes)
    assert [natural for _, natural, _ in sizes[3:]] == [960] * 3  # made smaller
    assert page.locator('figcaption').all_inner_texts() == [f'val_img_{i}.png' for i in range(3)]


def test_fits_the_window(open_report):
    page = open_report(collapse=True)
    for width in (1200, 1000, 400, 360):
        page.set_viewport_size(dict(width=width, height=800))
        assert page.evaluate('document.documentElement.scrollWidth') <= width


def test_progress_and_what_was_measured(make_work_dir, tmp_path):
    """Whether the figures are there; what is in them is tested below."""
    work_dir = make_work_dir()
    write_report([work_dir], tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text()
    assert 'id="progress"' in text and 'id="measured"' not in text and 'id="precision"' not in text
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    with open(log, 'a') as file:
        file.write('\n{"lr": 0.1, "ap_lost_coord": 0.25, "iter": 50, "step": 50}')
    curves = {'zero': dict(ap=0.5, objects=2, recall=[0.5, 0.5], precision=[1.0, 0.5])}
    (log.parents[1] / 'precision_recall.json').write_text(json.dumps(dict(epoch=2, iou_thr=0.5, classes=curves)))
    write_report([work_dir], tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text()
    assert 'id="measured"' in text and 'id="precision"' in text


def test_figure_of_progress():
    curves = dict(loss=Curve(np.array([1, 2]), np.array([4.0, 2.0])), lr=Curve(np.array([1, 2]), np.array([0.1, 0.2])))
    validations = {1: {'coco/bbox_mAP': 0.25, 'coco/bbox_mAP_50': 0.5}, 2: {'coco/bbox_mAP': 0.5}}
    figure = draw_progress({'a': (curves, validations), 'b': (dict(loss=curves['loss']), {})})
    loss, rate, metric = figure.axes
    assert [len(axes.lines) for axes in figure.axes] == [2, 1, 1] and loss.get_yscale() == 'log'
    assert rate.lines[0].get_ydata().tolist() == [0.1, 0.2]
    assert metric.get_title() == 'coco/bbox_mAP' and list(metric.lines[0].get_ydata()) == [0.25, 0.5]
    assert draw_progress({'a': ({}, {})}) is None


def test_metric_of_which_less_is_better(tmp_path):
    log = tmp_path / 'run' / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    lines = ['{"generator.lr": 0.1, "loss_generator": -1.0, "loss_discriminator": 2.0, "iter": 8, "step": 8}']
    lines += [f'{{"frechet_distance": {value}, "step": {step}}}' for step, value in ((1, 9.5), (2, 4.25), (3, 6.0))]
    log.write_text('\n'.join(lines) + '\n')
    write_report([tmp_path / 'run'], tmp_path / 'report.html')
    text = re.sub('<wbr>', '', (tmp_path / 'report.html').read_text())
    assert 'frechet_distance, smallest' in text and 'frechet_distance, largest' not in text
    assert '<td class="number best">4.2500</td>' in text and text.count('"number best"') == 1


def test_several_runs(make_work_dir, browser, tmp_path):
    runs = [make_work_dir('static_seed0'), make_work_dir('slf_seed0', collapse=True)]
    write_report(runs, tmp_path / 'report.html')
    page = browser.new_page(viewport=dict(width=400, height=800))
    page.goto((tmp_path / 'report.html').as_uri())
    rows = table(page, '#together')
    assert rows[0] == ['', 'static_seed0', 'slf_seed0'] and ['Iterations', '40', '40'] in rows
    assert ['pascal_voc/mAP, last', '0.5000', '0.5000'] in rows and [
        'pascal_voc/mAP, largest',
        '0.7500',
        '0.7500',
    ] in rows
    assert table(page, '.differences')[1:] == [['model.bbox_head.loss_balancer.kl_weight', '-', '0']]
    assert page.locator('details.run').count() == 2 and not page.locator('.bad').is_visible()
    page.get_by_text('slf_seed0', exact=True).last.click()
    assert page.locator('.bad').is_visible()
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    page.close()


def test_runs_of_one_name_have_their_folders(make_work_dir, tmp_path):
    runs = [make_work_dir('a/seed_0'), make_work_dir('b/seed_0')]
    write_report(runs, tmp_path / 'report.html')
    assert '<title>a/seed_0, b/seed_0</title>' in (tmp_path / 'report.html').read_text()


def test_color_scheme(make_work_dir, browser, tmp_path):
    write_report([make_work_dir()], tmp_path / 'report.html')
    script = '[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]'
    for scheme in ('light', 'dark'):
        page = browser.new_page(color_scheme=scheme)
        page.goto((tmp_path / 'report.html').as_uri())
        text, back = (sum(map(int, re.findall(r'\d+', color)[:3])) for color in page.evaluate(script))
        assert (text > back) == (scheme == 'dark') and abs(text - back) > 400
        page.close()


def test_config_changes(open_report):
    page = open_report()
    rows = table(page, '.changes')
    assert ['model.bbox_head.loss_balancer.type', "'StaticBalancer'", "'SLFBalancer'"] in rows
    assert ['model.bbox_head.loss_balancer.warmup', '-', '10'] in rows
    assert len(rows) == 1 + 2, rows
    whole = page.locator('details pre')
    assert not whole.is_visible()
    page.get_by_text('The whole config').click()
    assert whole.is_visible() and 'YOLOV1Head' in whole.inner_text()


COCO = [f'coco/bbox_mAP{suffix}' for suffix in ('', '_50', '_75', '_s', '_m', '_l')]


def test_every_column_of_coco_is_seen(open_report):
    values = dict.fromkeys(COCO, 0.1234)
    page = open_report(validations=[dict(values, step=1)])
    assert table(page, '.metrics') == [['step', *COCO], ['1', *(['0.1234'] * 6)]]
    hidden = page.locator('.scroll', has=page.locator('.metrics')).evaluate('e => e.scrollWidth - e.clientWidth')
    assert hidden == 0


def test_only_the_training_counts(make_work_dir, tmp_path):
    """Neither tests in its work dir, with another config, nor an earlier training in it."""
    work_dir = make_work_dir()
    parts = work_dir / '20260101_000000'
    earlier = work_dir / '20250101_000000'
    shutil.copytree(parts, earlier)
    log = (earlier / 'vis_data' / 'scalars.json').read_text().replace('"pascal_voc/mAP": 0.5', '"old/mAP": 0.25')
    (earlier / 'vis_data' / 'scalars.json').write_text(log)
    tested = work_dir / '20260102_000000'
    (tested / 'vis_data').mkdir(parents=True)
    (tested / 'vis_data' / 'scalars.json').write_text('{"coco/bbox_mAP": 0.875, "step": 0}\n')
    (tested / '20260102_000000.log').write_text((parts / '20260101_000000.log').read_text().replace('a dog', 'a cat'))
    shutil.copy(work_dir / DIGITS_SLF.name, parts / 'vis_data' / 'config.py')
    (work_dir / 'tested.py').write_text('model = dict(type="FasterRCNN")')
    write_report([work_dir], tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text()
    assert 'a dog' in text and '0.7500' in text and 'YOLOV1Head' in text
    assert not any(other in text for other in ('a cat', 'old/', 'coco/', '0.8750', 'FasterRCNN'))


def test_the_order_of_keys_in_nested_lists_is_no_change():
    before = Config(dict(pipeline=[dict(type='TestTimeAug', transforms=[[dict(type='Resize', scale=2)]])]))
    after = Config(dict(pipeline=[dict(type='TestTimeAug', transforms=[[dict(scale=3, type='Resize')]])]))
    assert changes(before, after) == [('pipeline.0.transforms.0.0.scale', '2', '3')]


def test_weights_that_were_kept(open_report):
    page = open_report()
    assert page.locator('.good').inner_text() == 'SLFBalancer: no loss weight collapsed.'
    assert page.locator('.bad').count() == 0
    assert table(page, '.parts')[1] == ['coord', '5', '5', '5', '66.7 %', '66.7 %']


def test_collapse(open_report):
    page = open_report(collapse=True)
    text = page.locator('.bad').inner_text()
    assert re.search(r'iteration 30 to 40: collapsed loss weights: coord, cls, noobj', text)
    assert 'kl_weight=0' in text and 'Raise kl_weight' in text
    assert table(page, '.parts')[3] == ['obj', '1', '1', '7.5', '100.0 %', '100.0 %']
    warnings = page.locator('details[open] li').all_inner_texts()
    assert warnings == ['CollapseGuardHook: in iterations 1 to 4 <all> is lost']  # as text, not as HTML


def test_config_of_another_name(make_work_dir, tmp_path):
    work_dir = make_work_dir()
    dumped = work_dir / DIGITS_SLF.name
    dumped.rename(work_dir / 'mine.py')
    out = tmp_path / 'report.html'
    write_report([work_dir], out)
    assert 'give the config file with <code>--config</code>' in out.read_text()
    write_report([work_dir], out, config=CONFIGS / 'yolov1' / 'yolov1_nano_1xb16-12e_digits-112px.py')
    assert 'default_hooks.logger.interval' in out.read_text()


def test_run_without_balancer_config_or_evaluation(tmp_path):
    log = tmp_path / 'run' / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('{"lr": 0.1, "loss": 1.0, "iter": 1, "step": 1}\n')
    write_report([tmp_path / 'run'], tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text()
    for hint in ('The work dir holds no config', 'The log holds no evaluation', 'The work dir holds no pictures'):
        assert hint in text


def test_precision_of_coco_classes(make_work_dir, tmp_path):
    work_dir = make_work_dir()
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    with open(log, 'a') as file:
        file.write('\n{"coco/bbox_mAP": 0.4, "coco/person_precision": 0.375, "coco/dog_precision": 0.1, "step": 3}')
    write_report([work_dir], tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text()
    assert re.search(r'<td>person</td><td class="number">0.375</td>', text)
    assert 'person_precision' not in text and 'a dog' not in text


def test_pictures_are_chosen_evenly(make_work_dir):
    work_dir = make_work_dir()
    folders = [work_dir / '20260101_000000']
    other = work_dir / '20260102_000000' / 'vis_data' / 'vis_image'  # of tools/test.py, or of another run
    other.mkdir(parents=True)
    Image.new('RGB', (8, 8)).save(other / 'test_img_0.png')
    Image.new('RGB', (8, 8)).save(work_dir / 'detections.png')
    assert [path.stem for path in find_pictures(work_dir, folders, 2)] == ['val_img_0', 'detections']
    assert [path.stem for path in find_pictures(work_dir, folders, 9)][:3] == ['val_img_0', 'val_img_1', 'val_img_2']
    assert find_pictures(work_dir, folders, 0) == []


def test_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no log of a training'):
        write_report([tmp_path], tmp_path / 'report.html')


def test_logs_of_a_test_in_the_same_work_dir_are_not_part_of_the_run(make_work_dir, tmp_path):
    work_dir = make_work_dir()
    later = work_dir / '20260102_000000'
    (later / 'vis_data').mkdir(parents=True)
    (later / 'vis_data/scalars.json').write_text('{"pascal_voc/mAP": 0.99, "step": 0}\n')
    (later / '20260102_000000.log').write_text(
        '| class | gts | dets | recall | ap    |\n| other | 7 | 9 | 0.5 | 0.123 |\n'
    )
    write_report([work_dir], tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text()
    assert '0.9900' not in text and 'other' not in text and 'a dog' in text


@pytest.mark.parametrize('form', ['inline', 'whole'])
def test_what_changed_inside_a_balanced_detector(form):
    plain = dict(type='RetinaNet', backbone=dict(depth=50), test_cfg=dict(score_thr=0.05))
    detector = dict(plain, backbone=dict(depth=18))
    model = dict(type='BalancedDetector', loss_balancer=dict(type='SLFBalancer'))
    model.update(
        dict({**detector, **model}, detector_type='RetinaNet') if form == 'inline' else dict(detector=detector)
    )
    found = changes(Config(dict(model=plain)), Config(dict(model=model)))
    assert [(change.key, change.base, change.run) for change in found] == [
        ('model.backbone.depth', '50', '18'),
        ('model.detector_type', None, "'RetinaNet'"),
        ('model.loss_balancer.type', None, "'SLFBalancer'"),
        ('model.type', "'RetinaNet'", "'BalancedDetector'"),
    ]
