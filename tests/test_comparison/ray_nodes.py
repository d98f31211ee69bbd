"""A Ray cluster of two nodes with one CPU each, in a process of its own: other tests fork, which gRPC does not survive.

It prints its address. A line on its standard input removes the second node; it ends when the input is closed.
"""

import sys


def main():
    from ray.cluster_utils import Cluster  # not where the tests are collected

    settings = dict(num_cpus=1, object_store_memory=10**8)
    cluster = Cluster(initialize_head=True, head_node_args=settings)
    second = cluster.add_node(**settings)
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(second, allow_graceful=False)
    cluster.shutdown()


if __name__ == '__main__':
    main()
