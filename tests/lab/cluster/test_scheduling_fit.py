"""Which node a pod gets, and what is said of those that get none."""

import pytest

from burster.lab.cluster.fit import NodeInfo, explain, least_allocated, misfits
from burster.lab.cluster.nodes import make_node
from burster.lab.cluster.shapes import pod_requests, shape_of


def _spec(requests=None, **more):
    return {"containers": [{"name": "c", "resources": {"requests": requests or {}}}], **more}


def _shape(requests=None, **more):
    return shape_of({"metadata": {"name": "p"}, "spec": _spec(requests, **more)})


def _nodes(*nodes):
    return [NodeInfo(node) for node in nodes]


SMALL = make_node("small", "2", "4Gi")
BIG = make_node("big", "16", "64Gi", gpus=2)
TAINTED = make_node("tainted", "16", "64Gi", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
CORDONED = {**BIG, "metadata": {**BIG["metadata"], "name": "cordoned"}, "spec": {"unschedulable": True}}


@pytest.mark.parametrize(
    ("nodes", "shape", "want"),
    [
        pytest.param([], _shape(), "no nodes available to schedule pods", id="no nodes"),
        pytest.param(
            [SMALL] * 3,
            _shape({"cpu": "3"}),
            "0/3 nodes are available: 3 Insufficient cpu.",
            id="one reason, three nodes",
        ),
        pytest.param(
            [SMALL, BIG],
            _shape({"cpu": "20", "memory": "8Gi"}),
            "0/2 nodes are available: 1 Insufficient memory, 2 Insufficient cpu.",
            id="a node gives every resource that lacks, reasons in the order of their text",
        ),
        pytest.param(
            [SMALL],
            _shape({"kata.peerpods.io/vm": "1"}),
            "0/1 nodes are available: 1 Insufficient kata.peerpods.io/vm.",
            id="an extended resource nobody has",
        ),
        pytest.param(
            [TAINTED, CORDONED, BIG],
            _shape({"nvidia.com/gpu": "4"}),
            "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) had untolerated taint {dedicated: db},"
            " 1 node(s) were unschedulable.",
            id="what rules a node out speaks before its load",
        ),
        pytest.param(
            [SMALL, BIG],
            _shape(nodeSelector={"disk": "ssd"}),
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
            id="a label nobody has",
        ),
    ],
)
def test_the_refusal_counts_the_reasons_as_kube_scheduler_does(nodes, shape, want):
    assert explain(_nodes(*nodes), shape, modern_tail=False) == want


def test_the_modern_tail_tells_nodes_where_preemption_might_help_from_hopeless_ones():
    told = explain(_nodes(SMALL, TAINTED), _shape({"cpu": "3"}), modern_tail=True)
    assert told == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: db}. no new claims to deallocate,"
        " preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod,"
        " 1 Preemption is not helpful for scheduling."
    )


def test_a_node_full_of_pods_takes_none_however_small():
    node = NodeInfo(make_node("n", "8", "8Gi", pods=1))
    node.take(_shape())
    assert misfits(node, _shape()) == ["Too many pods"]


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        pytest.param(
            {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}, True, id="exact"
        ),
        pytest.param({"key": "dedicated", "value": "web"}, False, id="another value"),
        pytest.param({"key": "dedicated", "operator": "Exists"}, True, id="any value"),
        pytest.param({"operator": "Exists"}, True, id="everything"),
        pytest.param({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, False, id="another effect"),
    ],
)
def test_tolerations_open_tainted_nodes(toleration, fits):
    assert (misfits(NodeInfo(TAINTED), _shape(tolerations=[toleration])) == []) is fits


@pytest.mark.parametrize(
    ("terms", "fits"),
    [
        pytest.param([{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}], True, id="In"),
        pytest.param(
            [{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}], False, id="NotIn"
        ),
        pytest.param([{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["8"]}]}], True, id="Gt"),
        pytest.param([{"matchExpressions": [{"key": "rack", "operator": "Exists"}]}], False, id="Exists"),
        pytest.param(
            [
                {"matchExpressions": [{"key": "rack", "operator": "Exists"}]},
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
            ],
            True,
            id="one of two terms is enough",
        ),
        pytest.param([{}], False, id="an empty term matches nothing"),
    ],
)
def test_required_node_affinity(terms, fits):
    node = NodeInfo(make_node("n", "8", "8Gi", labels={"zone": "a", "cores": "16"}))
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    assert (misfits(node, _shape(affinity=affinity)) == []) is fits


def test_requests_are_the_containers_or_the_largest_initial_moment_plus_overhead():
    spec = {
        "containers": [{"resources": {"requests": {"cpu": "500m"}}}, {"resources": {"limits": {"memory": "1Gi"}}}],
        "initContainers": [
            {"restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
            {"resources": {"requests": {"cpu": "2"}}},
        ],
        "overhead": {"cpu": "250m", "memory": "120Mi"},
    }
    assert pod_requests(spec) == {"cpu": 2100 + 250, "memory": 1024**3 + 120 * 1024**2}


def test_the_emptier_node_scores_higher_and_defaults_count_for_pods_without_requests():
    empty, busy = NodeInfo(BIG), NodeInfo({**BIG, "metadata": {"name": "busy"}})
    for _ in range(10):
        busy.take(_shape())
    assert busy.used == {}
    assert least_allocated(empty, _shape({"cpu": "1"})) > least_allocated(busy, _shape({"cpu": "1"}))
