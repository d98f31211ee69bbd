"""Broken checkpoints are found, named, and passed over."""

import random
import shutil

import pytest
import torch
from mmengine.hooks import CheckpointHook

from slf_mmdet.hooks import BrokenCheckpointError, SafeResumeHook
from slf_mmdet.hooks.checkpoint_files import CheckpointFiles, files_of_run, find_fault


class Runner:
    """What the hook asks of a runner."""

    def __init__(self, work_dir, resume=False, load_from=None, **checkpoint):
        self.work_dir = str(work_dir)
        self.hooks = [CheckpointHook(**checkpoint)]
        self._resume, self._load_from = resume, load_from
        self.logger = self
        self.logged = []

    def warning(self, text):
        self.logged.append(text)

    error = warning


def contents(epoch):
    generator = torch.Generator().manual_seed(epoch)
    state = {f'layer{i}.weight': torch.randn(7, 5, generator=generator) for i in range(3)}
    return dict(meta=dict(epoch=epoch), state_dict=state)


def same(a, b):
    return a.keys() == b.keys() and all(
        same(a[key], b[key]) if isinstance(a[key], dict) else bool(torch.as_tensor(a[key] == b[key]).all()) for key in a
    )


@pytest.fixture
def work_dir(tmp_path):
    for epoch in (8, 9, 10):
        torch.save(contents(epoch), tmp_path / f'epoch_{epoch}.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_10.pth'))
    return tmp_path


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_weight(path):
    data = bytearray(path.read_bytes())
    weights = contents(10)['state_dict']['layer1.weight'].numpy().tobytes()
    data[data.index(weights[:16]) + 1] ^= 1
    path.write_bytes(data)


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def empty(path):
    path.write_bytes(b'')


def remove(path):
    path.unlink()


def resume(work_dir):
    runner = Runner(work_dir, resume=True, load_from=None)
    SafeResumeHook().before_run(runner)
    return (work_dir / 'last_checkpoint').read_text(), runner.logged


def test_whole_checkpoint_is_taken_without_a_word(work_dir):
    assert resume(work_dir) == (str(work_dir / 'epoch_10.pth'), [])


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (cut_short, 'cut short or overwritten'),
        (flip_a_weight, 'checksum of its entry'),
        (zero, 'cut short or overwritten'),
        (empty, 'cut short or overwritten'),
        (remove, 'cannot be read'),
    ],
)
def test_the_one_before_takes_the_place_of_a_broken_one(work_dir, damage, reason):
    last = work_dir / 'epoch_10.pth'
    damage(last)
    chosen, logged = resume(work_dir)
    assert chosen == str(work_dir / 'epoch_9.pth')
    assert f'{last} is broken' in logged[0] and reason in logged[0]
    assert 'epoch_9.pth' in logged[1]
    assert not last.exists()
    assert (work_dir / 'epoch_10.pth.broken').exists() == (damage is not remove)


def test_pytorch_itself_does_not_see_a_flipped_bit(work_dir):
    """If this fails, PyTorch compares checksums now."""
    flip_a_weight(work_dir / 'epoch_10.pth')
    assert not same(torch.load(work_dir / 'epoch_10.pth'), contents(10))


def test_two_broken_ones(work_dir):
    cut_short(work_dir / 'epoch_10.pth')
    zero(work_dir / 'epoch_9.pth')
    assert resume(work_dir)[0] == str(work_dir / 'epoch_8.pth')


def test_a_pointer_that_was_cut_short(work_dir):
    (work_dir / 'last_checkpoint').write_text('')
    assert resume(work_dir)[0] == str(work_dir / 'epoch_10.pth')


def test_a_newer_half_checkpoint_beside_the_last_one_stays(work_dir):
    """The run was killed while it wrote: the pointer names the one before, and the file is written again."""
    shutil.copy(work_dir / 'epoch_10.pth', work_dir / 'epoch_11.pth')
    cut_short(work_dir / 'epoch_11.pth')
    assert resume(work_dir) == (str(work_dir / 'epoch_10.pth'), [])


def test_nothing_was_saved_yet(tmp_path):
    runner = Runner(tmp_path, resume=True)
    SafeResumeHook().before_run(runner)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('pointer', [None, ''])
def test_killed_while_writing_the_first(tmp_path, pointer):
    torch.save(contents(1), tmp_path / 'epoch_1.pth')
    cut_short(tmp_path / 'epoch_1.pth')
    if pointer is not None:
        (tmp_path / 'last_checkpoint').write_text(pointer)
    SafeResumeHook().before_run(Runner(tmp_path, resume=True))
    assert not (tmp_path / 'last_checkpoint').exists()  # mmengine starts from the beginning


def test_none_is_whole(work_dir):
    for path in work_dir.glob('*.pth'):
        cut_short(path)
    with pytest.raises(BrokenCheckpointError, match=r'last_checkpoint names .*epoch_10\.pth, but neither .* intact'):
        resume(work_dir)


@pytest.mark.parametrize('resume', [True, False])
def test_a_named_file_is_not_replaced(work_dir, resume):
    named = work_dir / 'epoch_9.pth'
    cut_short(named)
    with pytest.raises(BrokenCheckpointError, match=r'epoch_9\.pth is broken.*epoch_10\.pth.*epoch_8\.pth'):
        SafeResumeHook().before_run(Runner(work_dir, resume=resume, load_from=str(named)))
    assert named.exists()


def test_other_files_are_left_to_mmengine(tmp_path):
    old = tmp_path / 'old.pth'
    torch.save(contents(1), old, _use_new_zipfile_serialization=False)
    for load_from in (str(old), 'https://example.com/model.pth', str(tmp_path / 'absent.pth')):
        SafeResumeHook().before_run(Runner(tmp_path, load_from=load_from))
    SafeResumeHook().before_run(Runner(tmp_path))  # neither resumes nor loads


def test_order_is_by_number(work_dir):
    torch.save(contents(1), work_dir / 'best_mAP_epoch_99.pth')
    torch.save(contents(1), work_dir / 'epoch_99.pth.broken')
    found = CheckpointFiles(work_dir, 'epoch_{}.pth').newest_first()
    assert [path.name for path in found] == ['epoch_10.pth', 'epoch_9.pth', 'epoch_8.pth']


# Names and folders of the run's own CheckpointHook --------------------------------------------------------------------

NAMES = [
    dict(),
    dict(by_epoch=False),
    dict(filename_tmpl='ckpt_{}.pth'),
    dict(filename_tmpl='[a] ckpt-{:04d}.pth', by_epoch=False),
    dict(filename_tmpl='weights/epoch_{}.pth'),
    dict(filename_tmpl='run/{0}/{0}.pth'),
]


@pytest.mark.parametrize('elsewhere', [False, True])
@pytest.mark.parametrize('checkpoint', NAMES, ids=lambda names: names.get('filename_tmpl', str(names)))
def test_the_one_before_is_found_under_the_names_of_the_run(tmp_path, checkpoint, elsewhere):
    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    if elsewhere:
        checkpoint = dict(checkpoint, out_dir=str(tmp_path / 'out'))  # mmengine adds the name of the work dir
    folder = tmp_path / 'out/work' if elsewhere else work_dir
    template = (
        CheckpointHook(**checkpoint).filename_tmpl
        or ('epoch_{}.pth', 'iter_{}.pth')[not checkpoint.get('by_epoch', True)]
    )
    paths = [folder / template.format(number) for number in (2, 10)]
    for path, number in zip(paths, (2, 10)):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(contents(number), path)
    torch.save(contents(99), folder / 'best_mAP_epoch_99.pth')  # of save_best; mmengine saves it without the optimizer
    cut_short(paths[1])
    pointer = work_dir / 'last_checkpoint'
    for last in (str(paths[1]), '', str(paths[1])):  # the third time it has been renamed
        pointer.write_text(last)
        runner = Runner(work_dir, resume=True, **checkpoint)
        SafeResumeHook().before_run(runner)
        assert pointer.read_text() == str(paths[0])
    assert paths[0].is_file() and not paths[1].exists()
    assert (folder / 'best_mAP_epoch_99.pth').is_file()


@pytest.mark.parametrize(
    ('epoch_file', 'iter_file', 'newest'), [(500, 800, 'iter_800.pth'), (900, 800, 'epoch_12.pth')]
)
def test_files_by_epoch_and_by_iteration_are_ordered_by_the_iteration_inside(tmp_path, epoch_file, iter_file, newest):
    for name, iteration in (('epoch_12.pth', epoch_file), ('epoch_11.pth', 1), ('iter_800.pth', iter_file)):
        torch.save(dict(meta=dict(iter=iteration, epoch=3), state_dict={}), tmp_path / name)
    (tmp_path / 'last_checkpoint').write_text('')
    assert resume(tmp_path)[0] == str(tmp_path / newest)


def test_a_work_dir_that_was_moved(work_dir):
    (work_dir / 'last_checkpoint').write_text('/nowhere/epoch_10.pth')
    assert resume(work_dir)[0] == str(work_dir / 'epoch_10.pth')


def test_a_hook_and_its_config_say_the_same(tmp_path):
    settings = dict(filename_tmpl='a_{}.pth', out_dir=str(tmp_path / 'out'))
    expected = [
        CheckpointFiles(folder, template)
        for folder in (tmp_path / 'out' / 'work', tmp_path / 'work')
        for template in ('a_{}.pth', 'epoch_{}.pth', 'iter_{}.pth')
    ]
    work_dir = tmp_path / 'work'
    assert files_of_run(work_dir, settings) == files_of_run(work_dir, CheckpointHook(**settings)) == expected
    assert files_of_run(work_dir, None) == expected[4:]


def test_random_damage_is_found_or_does_no_harm(work_dir):
    """Bytes of file headers that nobody reads may change; contents may not."""
    path, whole = work_dir / 'epoch_10.pth', (work_dir / 'epoch_10.pth').read_bytes()
    choose = random.Random(0)
    found = 0
    for _ in range(300):
        data = bytearray(whole)
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        path.write_bytes(data)
        if find_fault(path):
            found += 1
        else:
            assert same(torch.load(path), contents(10))
    assert found > 50
    for _ in range(50):
        path.write_bytes(whole[: choose.randrange(len(whole))])
        assert find_fault(path)
