"""Every check there is: what is asked, why, and what to do where it fails. docs/doctor.md is made from this list.

Values only: how each is made is in the module of its subject.
"""

from typing import Final

from burster.sources.preflight.findings import Check


_RESTART: Final = "kubectl rollout restart daemonset/DAEMONSET -n NAMESPACE"

# --- the cluster, once for all targets ---------------------------------------------------------------------------------

CRDS: Final = Check(
    code="CrdsOutdated", group="Cluster", standing=False,
    title="burster's own kinds are installed, in this version",
    asks="The CustomResourceDefinitions of BurstTarget, BurstPolicy and Burst, against those of this version.",
    why="A field that the API server does not know is dropped in silence: a limit that somebody wrote would not hold.",
    cure="kubectl apply -k deploy, from the version that runs.",
)  # fmt: skip
RIGHTS: Final = Check(
    code="RightsMissing", group="Cluster", standing=False,
    title="burster's account has the rights it needs",
    asks="A SubjectAccessReview for each right of deploy/rbac.yaml (a SelfSubjectAccessReview inside the controller).",
    why="Without one of them something is not seen, or can't be ended.",
    cure="kubectl apply -k deploy; for namespaces that opt in, deploy/opt-in.",
)  # fmt: skip
OPT_IN: Final = Check(
    code="NamespacesNotOptedIn", group="Cluster", standing=False,
    title="namespaces that targets allow have opted in",
    asks="Of each allowed namespace: is it there, has it the labels that the target requires, may burster create Bursts in it?",
    why="A policy in any other namespace is told a refusal for each of its pods.",
    cure="Label the namespace as the target requires, and kubectl apply -k deploy/opt-in -n NAMESPACE.",
)  # fmt: skip
PEER_POD_KIND: Final = Check(
    code="PeerPodsNotInstalled", group="Cluster",
    title="PeerPod records can be read",
    asks="The list of peerpods.confidentialcontainers.org, one of it.",
    why="They say whose a VM is. Without them a VM that is left behind can't be told from somebody else's.",
    cure="Install cloud-api-adaptor with its PeerPod controller.",
    peer_pods=True,
)  # fmt: skip
WEBHOOK: Final = Check(
    code="WebhookMissing", group="Cluster", standing=False, peer_pods=True,
    title="the peer pods' webhook is there",
    asks="The MutatingWebhookConfigurations, for the webhook mwebhook.peerpods.io.",
    why="Without it a peer pod asks its worker node for all the cpu and memory that its VM is to have.",
    cure="Install the webhook of cloud-api-adaptor (OpenShift sandboxed containers brings it).",
)  # fmt: skip

# --- the cluster, for one target ---------------------------------------------------------------------------------------

RUNTIME_CLASS: Final = Check(
    code="RuntimeClassMissing", group="Peer pods", blocks=True, peer_pods=True,
    title="its RuntimeClass is there",
    asks="The RuntimeClass that the target names: its handler, overhead and scheduling.",
    why="A pod of a RuntimeClass that is not there is refused by the API server.",
    cure="Install Kata with that handler (kata-deploy, or the KataConfig of OpenShift), or name another in runtimeClassName.",
)  # fmt: skip
WORKERS: Final = Check(
    code="NoNodeForRuntimeClass", group="Peer pods", blocks=True, peer_pods=True,
    title="nodes take pods of its RuntimeClass",
    asks="The nodes with the labels of the RuntimeClass's scheduling (and of the target's nodeSelector): ready, not cordoned.",
    why="The near end of a peer pod, or all of a confidential pod on-prem, runs on such a node.",
    cure="Label nodes on which Kata is installed, or uncordon them.",
)  # fmt: skip
ADAPTOR: Final = Check(
    code="AdaptorNotReady", group="Peer pods", blocks=True, peer_pods=True,
    title="cloud-api-adaptor is healthy",
    asks="Its DaemonSet: pods that should be there, and pods that are ready.",
    why="It makes the VMs. A worker without it fails every sandbox.",
    cure="Look at its pods' logs: mostly a value of its ConfigMap, or its login to the cloud.",
)  # fmt: skip
CONFIG: Final = Check(
    code="AdaptorConfigMissing", group="Peer pods", blocks=True, closes=True, peer_pods=True,
    title="cloud-api-adaptor's configuration can be read",
    asks="ConfigMap peer-pods-cm.",
    why="It says where VMs are made, from which image, and whether they are confidential.",
    cure="Give burster's account the right to get it (deploy/rbac.yaml names it), or say where it is in BURSTER_PREFLIGHT__NAMESPACES.",
)  # fmt: skip
CONFIDENTIAL: Final = Check(
    code="ConfidentialVmsDisabled", group="Peer pods", blocks=True, closes=True, peer_pods=True,
    title="VMs are confidential (DISABLECVM is false)",
    asks="DISABLECVM in peer-pods-cm; where it is missing, cloud-api-adaptor takes it for false.",
    why='With "true" VMs have no securityProfile: the cloud reads what runs in them.',
    cure='Set DISABLECVM to "false" in peer-pods-cm and restart cloud-api-adaptor.',
)  # fmt: skip
PROVIDER: Final = Check(
    code="AdaptorProviderMismatch", group="Peer pods", blocks=True, closes=True, peer_pods=True,
    title="cloud-api-adaptor works for the target's cloud",
    asks="CLOUD_PROVIDER in peer-pods-cm.",
    why="It would make VMs elsewhere.",
    cure="Correct the target's provider, or CLOUD_PROVIDER.",
)  # fmt: skip
PLACE: Final = Check(
    code="AdaptorPlaceMismatch", group="Peer pods", blocks=True, closes=True, peer_pods=True,
    title="cloud-api-adaptor makes VMs where the target says",
    asks="AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP, AZURE_REGION and AZURE_SUBNET_ID in peer-pods-cm, against the target.",
    why="burster chooses the size only. A VM elsewhere is ended as soon as it is seen, and opens the target's breaker.",
    cure="Correct whichever is wrong: the target, or peer-pods-cm (and restart cloud-api-adaptor).",
)  # fmt: skip
IMAGE: Final = Check(
    code="AdaptorImageMismatch", group="Peer pods", blocks=True, closes=True, peer_pods=True,
    title="cloud-api-adaptor uses the image that the target names",
    asks="AZURE_IMAGE_ID in peer-pods-cm, against the target's image.",
    why="The image is what is attested.",
    cure="Correct whichever is wrong: the target's image, or AZURE_IMAGE_ID (and restart cloud-api-adaptor).",
)  # fmt: skip
SIZES: Final = Check(
    code="AdaptorSizesMissing", group="Peer pods", blocks=True, peer_pods=True,
    title="cloud-api-adaptor takes every size of the target",
    asks="AZURE_INSTANCE_SIZES in peer-pods-cm, split as cloud-api-adaptor does: at commas, blanks kept.",
    why='It refuses a size that is not in its list. In "A, B" the second is " B", which no VM size is called.',
    cure="Write every size of the target in AZURE_INSTANCE_SIZES, with commas and without blanks, and restart cloud-api-adaptor.",
)  # fmt: skip
SECURE_BOOT: Final = Check(
    code="SecureBootOff", group="Peer pods", blocks=True, peer_pods=True,
    title="VMs boot by secure boot where a policy asks for it",
    asks="ENABLE_SECURE_BOOT in peer-pods-cm, against secureBoot of the policies that name the target.",
    why="Such a VM is no match: its burst is ended, and the target's breaker opens.",
    cure='Set ENABLE_SECURE_BOOT to "true" and restart cloud-api-adaptor, or confidential.secureBoot: false in the policies.',
)  # fmt: skip
PUBLIC_IP: Final = Check(
    code="PublicAddresses", group="Peer pods", blocks=True, peer_pods=True,
    title="VMs have no public address (USE_PUBLIC_IP is false)",
    asks="USE_PUBLIC_IP in peer-pods-cm.",
    why="A confidential workload must not be reachable from the Internet; such a VM is ended as soon as it is seen.",
    cure='Set USE_PUBLIC_IP to "false" and restart cloud-api-adaptor; workers reach the subnet by VPN or peering.',
)  # fmt: skip
STALE: Final = Check(
    code="AdaptorNotRestarted", group="Peer pods", blocks=True, peer_pods=True,
    title="cloud-api-adaptor runs with the configuration that is there",
    asks="When peer-pods-cm was last changed, and when the oldest pod of the DaemonSet was started.",
    why="It reads its configuration at its start: until it is restarted it works with values that nobody can see.",
    cure=f"Restart it: {_RESTART}.",
)  # fmt: skip
SLOTS: Final = Check(
    code="NoSlots", group="Peer pods", blocks=True, peer_pods=True,
    title="workers have slots for peer pods",
    asks="kata.peerpods.io/vm in the nodes' allocatable, and PeerPod records that take one.",
    why="A peer pod without a slot stays pending, whatever the cloud has.",
    cure="Raise PEERPODS_LIMIT_PER_NODE in peer-pods-cm and restart cloud-api-adaptor, or add workers.",
)  # fmt: skip

# --- the cloud ---------------------------------------------------------------------------------------------------------

LOGIN: Final = Check(
    code="LoginFailed", group="Cloud", blocks=True,
    title="burster can log in to the cloud",
    asks="The subscription, with burster's own identity.",
    why="An expired or wrong credential sees nothing and can end nothing.",
    cure="Renew the federated credential of burster's workload identity (or its managed identity): docs/azure.md.",
)  # fmt: skip
SUBSCRIPTION: Final = Check(
    code="SubscriptionNotUsable", group="Cloud", blocks=True,
    title="the subscription is there and enabled",
    asks="The subscription's state.",
    why="Nothing can be made in one that is disabled, past due, or another tenant's.",
    cure="Correct azure.subscriptionId in the target, or have the subscription enabled.",
)  # fmt: skip
REGION: Final = Check(
    code="RegionUnknown", group="Cloud", blocks=True,
    title="the region is there",
    asks="The locations of the subscription.",
    why="A region that does not exist, or that the subscription may not use, has neither sizes nor prices.",
    cure="Write the region's short name (az account list-locations -o table) in azure.region.",
)  # fmt: skip
RESOURCE_GROUP: Final = Check(
    code="ResourceGroupMissing", group="Cloud", blocks=True,
    title="the resource group is there",
    asks="The resource group, and its region.",
    why="VMs are made in it, and looked for in it.",
    cure="Correct azure.resourceGroup in the target, or create the group.",
)  # fmt: skip
ROLES: Final = Check(
    code="RolesMissing", group="Cloud", blocks=True,
    title="burster's identity has the least roles",
    asks="The identity's permissions on the resource group.",
    why="Without Reader no VM can be verified. Machines, and a sweep that deletes, need Virtual Machine Contributor as well.",
    cure="Assign the roles that docs/azure.md lists, on the resource group.",
)  # fmt: skip
BROAD: Final = Check(
    code="RolesTooBroad", group="Cloud",
    title="burster's identity has no more than that",
    asks="The same permissions: may it write role assignments, read Secrets or keys, change other resources?",
    why="Who takes the controller over has what it has.",
    cure="Take Owner, Contributor and User Access Administrator off the identity; docs/azure.md lists what it needs.",
)  # fmt: skip
SUBNET: Final = Check(
    code="SubnetFull", group="Cloud", blocks=True,
    title="the subnet is there and has addresses left",
    asks="The subnet of the target, or else of peer-pods-cm: its prefixes and what is taken of them.",
    why="Each VM takes an address; without one its network interface can't be made.",
    cure="Correct the subnet's id, widen the subnet, or free addresses in it.",
)  # fmt: skip
CONFIDENTIAL_IMAGE: Final = Check(
    code="ImageNotConfidential", group="Cloud", blocks=True, closes=True,
    title="the image is there and can be confidential",
    asks="The image's definition: generation V2, SecurityType ConfidentialVm or ConfidentialVmSupported.",
    why="From any other image no confidential VM can be made.",
    cure="Name an image that is built for confidential VMs; peer pods' are in cloud-api-adaptor's community gallery.",
)  # fmt: skip
OFFERED: Final = Check(
    code="SizesNotOffered", group="Cloud", blocks=True,
    title="its sizes are offered, with the TEE it asks for",
    asks="The region's SKUs: is each size there, open to the subscription, and of an allowed TEE?",
    why="A size that is not offered is never chosen; with none left nothing bursts.",
    cure="Name sizes that the region has (burster offerings), or ask Azure to open them to the subscription.",
)  # fmt: skip
DEFAULT_SIZE: Final = Check(
    code="DefaultSizeOtherTee", group="Cloud", peer_pods=True,
    title="cloud-api-adaptor's default size is of an allowed TEE",
    asks="AZURE_INSTANCE_SIZE in peer-pods-cm (Standard_DC2as_v5, which is SNP, where it is left out), against the target's tees.",
    why="burster always names the size. A peer pod that somebody else starts without one gets the default.",
    cure="Set AZURE_INSTANCE_SIZE to a size of the target.",
)  # fmt: skip
QUOTA: Final = Check(
    code="QuotaMissing", group="Cloud", blocks=True,
    title="there is quota for its sizes",
    asks="The region's usages: the families of its sizes, and cores in all.",
    why="New subscriptions have a quota of 0 for confidential families.",
    cure="Request quota for the family in that region (Azure portal, Quotas); until then use another region.",
)  # fmt: skip
PRICES: Final = Check(
    code="PricesUnknown", group="Cloud", blocks=True,
    title="prices are known, and not too old",
    asks="Each size's price in the latest list, and for how long yet it may be launched by.",
    why="Without a price no budget can be kept.",
    cure="Let burster reach the price list (BURSTER_PRICES__URL), or write prices.perHour or assumedPricePerHour in the target.",
)  # fmt: skip
PRICE_LIST: Final = Check(
    code="PriceListUnreadable", group="Cloud",
    title="today's price list can be read, and makes sense",
    asks="The price list: its answer, its currency, and prices above zero that no VM is too cheap or too dear for.",
    why="The list of before, or the one that comes with burster, stands in for it, and only for a while.",
    cure="Let burster reach the price list (BURSTER_PRICES__URL, a proxy, the NetworkPolicy), and see that nothing answers in its place.",
)  # fmt: skip
CLOCK: Final = Check(
    code="ClockSkew", group="Cloud", blocks=True,
    title="burster's clock agrees with the cloud's",
    asks="The Date of ARM's latest answer.",
    why="Leases, costs and the age of what is swept are counted by both.",
    cure="Mend the time synchronisation (chrony, ntpd) of the node that burster runs on.",
)  # fmt: skip
STRANGERS: Final = Check(
    code="OtherClustersVms", group="Cloud", standing=False,
    title="no VM of another cluster is in the resource group",
    asks="The VMs podvm-* and burstvm-* of the resource group, against this cluster's PeerPod records.",
    why="Two clusters in one group see each other's VMs as their own where pods have the same name.",
    cure="Give each cluster a resource group of its own; or these were left behind: burster sweep-cloud --dry-run tells.",
)  # fmt: skip

# --- the Trustee -------------------------------------------------------------------------------------------------------

TRUSTEE: Final = Check(
    code="TrusteeUnreachable", group="Trustee",
    title="its Trustee answers, by a certificate that holds",
    asks="GET /healthz at trustee.url.",
    why="Without it no pod gets its keys. Policies with attestation: Required wait until it answers.",
    cure="See that it runs, that its certificate is valid for the name in trustee.url, and that NetworkPolicies let burster there.",
)  # fmt: skip

# --- the network, probed from the workers ------------------------------------------------------------------------------

TUNNEL_TCP: Final = Check(
    code="WorkerCannotReachVms", group="Network", standing=False, peer_pods=True,
    title="workers reach VMs: TCP 15150",
    asks="From each worker with slots: a connection to FORWARDER_PORT of a running pod VM, or of --probe-address.",
    why="cloud-api-adaptor talks to the agent in the VM by it; without it each sandbox ends after PROXY_TIMEOUT.",
    cure="Open TCP 15150 from the workers' network to the subnet: network security group, firewall, routes, VPN or ExpressRoute.",
)  # fmt: skip
TUNNEL_UDP: Final = Check(
    code="VxlanBlocked", group="Network", standing=False, peer_pods=True,
    title="workers reach VMs: VXLAN",
    asks="From each worker: a datagram to VXLAN_PORT (UDP 4789, or 9000 on OpenShift) of the same address; a refusal disproves it.",
    why="All of a peer pod's traffic goes through it.",
    cure="Open that UDP port between the workers' network and the subnet, in both directions.",
)  # fmt: skip
TUNNEL_MTU: Final = Check(
    code="PathMtuSmall", group="Network", standing=False, peer_pods=True,
    title="the path takes whole packets",
    asks="The path MTU that the worker's kernel knows for that address, after datagrams that must not be fragmented.",
    why="VXLAN adds 50 bytes. Where the path is narrower than the pods' network thinks, large answers hang.",
    cure="Lower the MTU of the pods' network, or raise that of the VPN.",
)  # fmt: skip
VM_EGRESS: Final = Check(
    code="VmCannotReach", group="Network", standing=False, peer_pods=True,
    title="VMs reach registry and Trustee",
    asks="From inside a canary peer pod (--canary, which costs a VM for minutes): a connection to each.",
    why="The image is pulled inside the VM, and the keys are fetched from there.",
    cure="Open TCP 443 (and the Trustee's port) from the subnet: network security group, NAT gateway, private DNS.",
)  # fmt: skip

CHECKS: Final = (
    CRDS, RIGHTS, OPT_IN, PEER_POD_KIND, WEBHOOK,
    RUNTIME_CLASS, WORKERS, ADAPTOR, CONFIG, CONFIDENTIAL, PROVIDER, PLACE, IMAGE, SIZES, SECURE_BOOT, PUBLIC_IP, STALE, SLOTS,
    LOGIN, SUBSCRIPTION, REGION, RESOURCE_GROUP, ROLES, BROAD, SUBNET, CONFIDENTIAL_IMAGE, OFFERED, DEFAULT_SIZE, QUOTA, PRICES,
    PRICE_LIST, CLOCK,
    STRANGERS,
    TRUSTEE,
    TUNNEL_TCP, TUNNEL_UDP, TUNNEL_MTU, VM_EGRESS,
)  # fmt: skip
BY_CODE: Final = {check.code: check for check in CHECKS}
