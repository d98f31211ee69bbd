"""Builds digits-VOC, a small detection set in the layout of PASCAL VOC, within seconds."""

import argparse

from slf_mmdet.datasets.digits_voc import DigitsVOCSpec, build_digits_voc
from slf_mmdet.utils.tool_errors import user_errors


def parse_args() -> argparse.Namespace:
    default = DigitsVOCSpec()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--out', default='data/digits_voc', help='folder of the set')
    parser.add_argument('--num-train', type=int, default=default.num_train, help='training images')
    parser.add_argument('--num-test', type=int, default=default.num_test, help='test images')
    parser.add_argument('--image-size', type=int, default=default.image_size, help='side of an image in pixels')
    parser.add_argument('--seed', type=int, default=default.seed)
    parser.add_argument('--overwrite', action='store_true', help='replace a set that was built with other parameters')
    return parser.parse_args()


@user_errors('digits_voc')
def main() -> None:
    args = parse_args()
    out = build_digits_voc(
        args.out,
        num_train=args.num_train,
        num_test=args.num_test,
        image_size=args.image_size,
        seed=args.seed,
        overwrite=args.overwrite,
    )
    print(f'{out} holds {args.num_train} training and {args.num_test} test images')


if __name__ == '__main__':
    main()
