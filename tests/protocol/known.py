"""Runs that broke an invariant once, by the sentence that they broke."""

from __future__ import annotations

from plans import Command, Plan
from played_system import MS, S

LATER = Command(4100 * MS, "heal", ("a", "b"))
"""Nothing, and then all is mended."""

WRITTEN = Command(1000 * MS, "fall", ("hold",))
"""Nothing, as no graph is replaced; but what the manager knows is kept on a disk."""

CUT_FROM_BEFORE = (
    Command(614_677, "cut", ("a", "b")),
    Command(2_454_826, "lose", ("a", "runtime-manager")),
    Command(5_054_826, "heal", ("a", "runtime-manager")),
    Command(5_352_075, "drain", ("b",)),
    Command(8_354_826, "heal", ("a", "runtime-manager")),
)
"""The tokens of an SQ come from its next host, and a while later those that a cut link to its former one has held."""


def followed(takes: int) -> tuple[Command, ...]:
    """The manager dies and is followed at once, where messages to and from one ensemble take so long."""
    return (
        Command(973_937, "slow", ("c", "runtime-manager"), takes),
        Command(1_716_551, "die", ("b",)),
        Command(1_759_918, "follow", ("b",)),
        Command(5_067_749, "replace", ("moved",)),
    )


KNOWN = {
    "a lease that ended while a process stood still is seen before anything fires": Plan(
        0, ("a", "b"), 2, 0, 0, (Command(1000 * MS, "stop", ("b",), 3000 * MS), LATER)
    ),
    "it is seen before anything that came while time was not kept": Plan(
        0, ("a", "b"), 2, 0, 0, (Command(1000 * MS, "busy", ("b",), 3000 * MS), LATER)
    ),
    "held SQs go on only after the placements that were sent before": Plan(
        1, ("a", "b"), 2, 0, 0, (Command(1137 * MS, "cut", ("b", "runtime-manager")), LATER)
    ),
    "a start that is lost where a session ends comes all the same": Plan(
        54,
        ("a", "b"),
        16,
        0,
        0,
        (Command(840 * MS, "lose", ("a", "runtime-manager")), Command(1223 * MS, "again", ("b",))),
    ),
    "a graph that an ensemble has prepared in vain does not stay there": Plan(
        563,
        ("a", "b", "c"),
        14,
        0,
        0,
        (
            Command(924 * MS, "cut", ("b", "runtime-manager")),
            Command(1954 * MS, "drain", ("a",)),
            Command(3082 * MS, "cut", ("a", "c")),
        ),
    ),
    "a context that starts while an ensemble holds its SQs is held, too": Plan(
        103,
        ("a", "b", "c"),
        4,
        0,
        0,
        (Command(644 * MS, "lose", ("a", "runtime-manager")), Command(2428 * MS, "lose", ("a", "b"))),
    ),
    "a graph is not ready on an ensemble that has gone after it had prepared it": Plan(
        2806,
        ("a", "b"),
        15,
        0,
        0,
        (
            Command(604 * MS, "stop", ("b",), 3000 * MS),
            Command(619 * MS, "deploy", ("a",)),
            Command(2906 * MS, "revoke", ("a",)),
            Command(5262 * MS, "heal", ("a", "b")),
        ),
    ),
    "an ensemble on which a graph is being prepared is not drained": Plan(
        11492,
        ("a", "b"),
        20,
        0,
        0,
        (
            Command(972 * MS, "end", ("a",)),
            Command(988 * MS, "slow", ("a", "runtime-manager"), 100 * MS),
            Command(2764 * MS, "deploy", ("b",)),
            Command(2778 * MS, "drain", ("a",)),
        ),
    ),
    "the hosts of a graph know an ensemble before SQs are drained to it": Plan(
        10266,
        ("a", "b"),
        23,
        0,
        0,
        (
            Command(1766 * MS, "slow", ("a", "runtime-manager"), 400 * MS),
            Command(3542 * MS, "join"),
            Command(3584 * MS, "drain", ("b",)),
        ),
    ),
    "an ensemble on which a manager that died had a graph prepared in vain is told to forget it": Plan(
        242,
        ("a", "b", "c"),
        14,
        0,
        0,
        (
            Command(1070 * MS, "busy", ("b",), 1000 * MS),
            Command(2360 * MS, "drain", ("b",)),
            Command(2378 * MS, "die"),
        ),
    ),
    "a graph that a manager which died was to stop is stopped by the next one": Plan(
        1943,
        ("a", "b"),
        8,
        0,
        0,
        (
            Command(626 * MS, "stop", ("b",), 1700 * MS),
            Command(668 * MS, "end", ("b",)),
            Command(887 * MS, "die"),
        ),
    ),
    "what only one ensemble could host stays there while that may only be cut off": Plan(
        11156,
        ("a", "b"),
        12,
        0,
        0,
        (Command(622 * MS, "lose", ("b", "runtime-manager")), Command(3403 * MS, "join")),
    ),
    "it stays, too, where the ensemble may not have heard that another could host it": Plan(
        20512,
        ("a", "b", "c"),
        2,
        0,
        0,
        (
            Command(620 * MS, "stop", ("c",), 3000 * MS),
            Command(2790 * MS, "busy", ("a",), 3000 * MS),
            Command(4658 * MS, "end", ("c",)),
        ),
    ),
    "what was held goes on only when a manager is heard, for it may have been placed elsewhere": Plan(
        20369,
        ("a", "b"),
        21,
        0,
        0,
        (
            Command(842 * MS, "cut", ("b", "runtime-manager")),
            Command(2935 * MS, "die"),
            Command(2939 * MS, "heal", ("b", "runtime-manager")),
            Command(4922 * MS, "cut", ("a", "runtime-manager")),
        ),
    ),
    "a graph that was refused after its manager had died leaves nothing on ensembles that were away": Plan(
        30776,
        ("a", "b", "c"),
        13,
        0,
        0,
        (Command(1851 * MS, "kill", ("a",)), Command(2163 * MS, "deploy"), Command(2651 * MS, "die")),
    ),
    "an ensemble whose certificate is revoked while there is no manager is not awaited by the next one": Plan(
        30434,
        ("a", "b", "c"),
        9,
        0,
        0,
        (Command(1028 * MS, "die"), Command(1334 * MS, "revoke", ("c",))),
    ),
    "a manager that hears an ensemble again places what waits, though that one was never gone": Plan(
        61393,
        ("a", "b"),
        12,
        0,
        0,
        (
            Command(952 * MS, "kill", ("b",)),
            Command(1310 * MS, "cut", ("a", "runtime-manager")),
            Command(2441 * MS, "revoke", ("b",)),
        ),
    ),
    "in a system that is divided, ensembles that vouch for one another do not run what goes on at the other side": Plan(
        50765,
        ("a", "b", "c"),
        15,
        0,
        0,
        (
            Command(1916 * MS, "cut", ("b", "runtime-manager")),
            Command(1959 * MS, "cut", ("b", "c")),
            Command(2135 * MS, "lose", ("a", "runtime-manager")),
            Command(4477 * MS, "end", ("b",)),
        ),
    ),
    "nor where the one at the other side is cut off from one of them only": Plan(
        60748,
        ("a", "b", "c"),
        5,
        0,
        300 * MS,
        (
            Command(824 * MS, "cut", ("b", "runtime-manager")),
            Command(887 * MS, "cut", ("a", "c")),
            Command(997 * MS, "cut", ("a", "runtime-manager")),
            Command(4242 * MS, "cut", ("b", "runtime-manager")),
        ),
    ),
    "tokens that a drained ensemble had taken since its last report do not count as lost": Plan(
        777785, ("a", "b", "c"), 11, 0, 500 * MS, (Command(1048 * MS, "drain", ("b",)),)
    ),
    "tokens lost on the way to an SQ that moves are counted once": Plan(
        40691,
        ("a", "b", "c"),
        7,
        0,
        0,
        (
            Command(1461 * MS, "cut", ("b", "c")),
            Command(2108 * MS, "drain", ("c",)),
            Command(5157 * MS, "drain", ("c",)),
        ),
    ),
    "an ensemble that is back is told at once what lives elsewhere, though another one still prepares the graph": Plan(
        1006433,
        ("a", "b", "c"),
        17,
        0,
        500 * MS,
        (
            Command(2_210_499, "cut", ("c", "runtime-manager")),
            Command(2_834_412, "cut", ("b", "runtime-manager")),
            Command(4_797_581, "cut", ("a", "b")),
        ),
    ),
    "a graph that is deployed meanwhile is not placed on an ensemble that is being drained": Plan(
        1002468,
        ("a", "b"),
        8,
        0,
        0,
        (
            Command(603_968, "drain", ("b",)),
            Command(632_691, "deploy", ("a",)),
            Command(2045 * MS, "die", ("a",)),
        ),
    ),
    "tokens of a drained SQ do not overtake those that it sent before to a third ensemble": Plan(
        1003326,
        ("a", "b"),
        9,
        0,
        300 * MS,
        (
            Command(2_874_368, "slow", ("a", "b"), 400 * MS),
            Command(2_930_125, "join", ("b",)),
            Command(3_126_598, "drain", ("b",)),
        ),
    ),
    "an ensemble that was lost before the manager died hears from the next one which graphs have ended": Plan(
        1005202,
        ("a", "b"),
        9,
        0,
        0,
        (
            Command(1_020_286, "lose", ("a", "runtime-manager")),
            Command(1_043_166, "end", ("a",)),
            Command(3_028_806, "die", ("a",)),
        ),
    ),
    "losses of a start that ended while an ensemble was cut off are counted when that one is back": Plan(
        1004941,
        ("a", "b"),
        3,
        3000 * MS,
        0,
        (
            Command(646_855, "cut", ("b", "runtime-manager")),
            Command(2_626_682, "lose", ("a", "b")),
            Command(4_465_109, "copies", ("b",)),
        ),
    ),
    "tokens that were kept for SQs which do not come to a context that has ended by then stop nothing": Plan(
        3004502,
        ("a", "b", "c"),
        7,
        3000 * MS,
        0,
        (
            Command(1_905_983, "drain", ("a",)),
            Command(1_934_148, "die", ("a",)),
            Command(4_179_133, "kill", ("a",)),
        ),
    ),
    "an SQ that comes to its new host while its graph is being stopped does not fire there": Plan(
        3010404,
        ("a", "b", "c"),
        5,
        0,
        0,
        (
            Command(607_388, "again", ("b",)),
            Command(1_919_533, "slow", ("b", "runtime-manager"), 50 * MS),
            Command(2_179_828, "drain", ("b",)),
            Command(2_350_418, "quick", ("b",)),
            Command(2_360_713, "end", ("b",)),
        ),
    ),
    "tokens that come after a start has ended, as a link is whole again, count no longer as lost": Plan(
        53249,
        ("a", "b", "c"),
        6,
        3000 * MS,
        0,
        (Command(910_724, "cut", ("b", "c")), Command(5_755_305, "heal", ("a", "runtime-manager"))),
    ),
    "tokens that are sent to an ensemble which was cut off before the start count as lost": Plan(
        53842,
        ("a", "b"),
        12,
        0,
        0,
        (
            Command(1_384_482, "cut", ("a", "runtime-manager")),
            Command(3_370_422, "again", ("b",)),
            Command(6_003_812, "heal", ("b", "runtime-manager")),
        ),
    ),
    "nothing is placed on an ensemble that was drained and has still to hear that it may leave": Plan(
        15164,
        ("a", "b"),
        7,
        0,
        500 * MS,
        (
            Command(610_620, "mute", ("runtime-manager", "b")),
            Command(1_258_444, "drain", ("b",)),
            Command(2_300_396, "revoke", ("a",)),
        ),
    ),
    "an ensemble that was lost before a version failed forgets that when it is back, though a manager died since": Plan(
        20719,
        ("a", "b"),
        9,
        0,
        0,
        (
            Command(716_727, "fall", ("back",), 122_256),
            Command(716_727, "replace", ("fails",), 1 * S),
            Command(1_392_563, "die", ("a",)),
            Command(2_747_129, "lose", ("a", "runtime-manager")),
            Command(3_875_981, "follow"),
            Command(4_613_871, "heal", ("b", "runtime-manager")),
        ),
    ),
    "tokens that come after the end, when an ensemble is back, do not count as lost by a stop at that moment": Plan(
        41461,
        ("a", "b", "c"),
        3,
        3000 * MS,
        0,
        (
            Command(1_733_396, "replace", ("moved",)),
            Command(2_173_399, "lose", ("b", "runtime-manager")),
            Command(2_287_460, "die", ("c",)),
            Command(5_509_501, "heal", ("b", "runtime-manager")),
        ),
    ),
    "a version has not come to rest as long as tokens wait for SQs that are suspended": Plan(
        21217,
        ("a", "b", "c"),
        12,
        0,
        500 * MS,
        (
            Command(1_081_322, "replace", ("fails",), 1 * S),
            Command(1_486_262, "busy", ("b",), 1700 * MS),
            Command(3_511_880, "return", ("a",)),
        ),
    ),
    "an ensemble that was lost just before its manager died hears from the next one that a held graph goes on": Plan(
        27293,
        ("a", "b", "c"),
        3,
        0,
        0,
        (
            Command(1_246_867, "fall", ("end",)),
            Command(1_246_867, "replace", ("same",)),
            Command(1_659_837, "lose", ("b", "runtime-manager")),
            Command(1_693_110, "lose", ("c", "runtime-manager")),
            Command(4_470_744, "heal", ("b", "runtime-manager")),
        ),
    ),
    "a sender that was lost and comes back while an SQ moves is asked once more how far it is": Plan(
        107731,
        ("a", "b"),
        4,
        0,
        300 * MS,
        (
            Command(1_616_245, "cut", ("b", "runtime-manager")),
            Command(1_970_672, "lose", ("b", "runtime-manager")),
            Command(2_015_569, "slow", ("b", "runtime-manager"), 100 * MS),
            Command(4_570_672, "heal", ("b", "runtime-manager")),
            Command(4_825_099, "drain", ("a",)),
            Command(7_870_672, "heal", ("b", "runtime-manager")),
        ),
    ),
    "an ensemble takes the first orders of the next manager, which were lost, before those that came first": Plan(
        29923,
        ("a", "b"),
        18,
        0,
        0,
        (
            Command(623_374, "fall", ("hold",), 5_243),
            Command(623_374, "replace", ("drops",)),
            Command(1_790_244, "slow", ("b", "runtime-manager"), 400 * MS),
            Command(1_799_307, "follow"),
            Command(2_914_644, "lose", ("b", "runtime-manager")),
            Command(4_841_274, "heal", ("b", "runtime-manager")),
        ),
    ),
    "tokens for an ensemble that was cut off before a start reached it, and is back after its end, count as lost": Plan(
        55096,
        ("a", "b"),
        18,
        0,
        300 * MS,
        (
            Command(610_895, "copies", ("a",)),
            Command(1_410_921, "again", ("a",)),
            Command(1_411_324, "cut", ("b", "runtime-manager")),
            Command(1_416_698, "die", ("a",)),
            Command(1_445_583, "follow", ("a",)),
            Command(3_823_904, "heal", ("b", "runtime-manager")),
        ),
    ),
    "an ensemble that another start of its manager has taken back does not go on for long without its heartbeats": Plan(
        15235,
        ("a", "b"),
        10,
        0,
        500 * MS,
        (
            Command(1_402_100, "fall", ("try",), 5_902),
            Command(1_402_100, "replace", ("same",), 3 * S),
            Command(2_028_579, "late", ("runtime-manager", "a"), 1 * S),
            Command(3_073_311, "follow"),
            Command(4_421_539, "lose", ("a", "runtime-manager")),
            Command(7_786_080, "heal", ("a", "runtime-manager")),
        ),
    ),
    "the next manager does not wait for an answer of its own ensemble, of which all had ended": Plan(
        3520,
        ("a", "b"),
        13,
        0,
        300 * MS,
        (
            Command(1_072_163, "cut", ("b", "runtime-manager")),
            Command(1_762_870, "fall", ("back",)),
            Command(1_762_870, "replace", ("fails",), 3 * S),
            Command(2_391_088, "cut", ("a", "runtime-manager")),
            Command(8_636_644, "heal", ("a", "runtime-manager")),
        ),
    ),
    "an ensemble goes on after the orders that wait for the disk, though it sends more heartbeats meanwhile": Plan(
        1166,
        ("a",),
        21,
        0,
        0,
        (
            Command(672_778, "cut", ("a", "runtime-manager")),
            WRITTEN,
            Command(2_810_070, "heal", ("a", "runtime-manager")),
        ),
    ),
    "tokens that were sent to an SQ while it moved, and that its new host took, do not count as lost": Plan(
        68866,
        ("a", "b"),
        2,
        0,
        0,
        (
            Command(666_070, "slow", ("b", "runtime-manager"), 100 * MS),
            Command(2_131_406, "slow", ("a", "b"), 150 * MS),
            Command(2_463_903, "drain", ("b",)),
            Command(2_778_897, "quick", ("b",)),
        ),
    ),
    "an ensemble that is 100 ms away finds the next manager before its lease ends": Plan(
        18528, ("a", "b", "c"), 17, 0, 300 * MS, followed(100 * MS)
    ),
    "one that is 400 ms away may not, and then rests; where its graph is replaced, all else is right": Plan(
        18528, ("a", "b", "c"), 17, 0, 300 * MS, followed(400 * MS)
    ),
    "an answer of a manager that died since does not let go on what its next start has still to tell of": Plan(
        80345,
        ("a", "b", "c"),
        3,
        0,
        0,
        (
            Command(954_566, "cut", ("a", "b")),
            Command(1_353_386, "lose", ("a", "runtime-manager")),
            Command(4_342_930, "heal", ("a", "b")),
            Command(4_342_930, "heal", ("a", "runtime-manager")),
            Command(5_005_235, "die", ("b",)),
        ),
    ),
    "the first tokens of a new version are not overtaken, though their SQ moves at once": Plan(
        77304,
        ("a", "b"),
        19,
        0,
        0,
        (
            Command(2_020_354, "replace", ("moved",)),
            Command(2_200_799, "slow", ("a", "b"), 400 * MS),
            Command(2_301_290, "join", ("a",)),
            Command(2_623_771, "drain", ("a",)),
        ),
    ),
    "tokens that come while a new version is watched do not count as lost when the old one ends": Plan(
        33166,
        ("a", "b", "c"),
        11,
        3000 * MS,
        0,
        (
            Command(643_016, "busy", ("runtime-manager",), 1700 * MS),
            Command(685_481, "cut", ("a", "b")),
            Command(1_072_970, "lose", ("b", "runtime-manager")),
            Command(2_397_197, "replace", ("more",), 1 * S),
            Command(3_672_970, "heal", ("b", "runtime-manager")),
            Command(6_972_970, "heal", ("a", "b")),
        ),
    ),
    "a new version runs until the tick at which the old one goes on, though the manager dies before that": Plan(
        57357,
        ("a", "b", "c"),
        4,
        0,
        0,
        (
            Command(1_273_489, "fall", ("back",), 3916),
            Command(1_273_489, "replace", ("fails",), 3 * S),
            Command(2_232_639, "follow", ("a",)),
        ),
    ),
    "an ensemble rests if the next manager dies, too, before it has answered; all else is right": Plan(
        61626,
        ("a", "b"),
        8,
        0,
        0,
        (
            Command(1_510_163, "die", ("b",)),
            Command(1_599_363, "follow", ("b",)),
            Command(2_308_177, "die", ("a",)),
        ),
    ),
    "tokens that come from an SQ's former host after later ones do not count as lost": Plan(
        99850, ("a", "b"), 21, 0, 0, CUT_FROM_BEFORE
    ),
    "they do not, either, where the start has ended by then": Plan(99850, ("a", "b"), 21, 5 * S, 0, CUT_FROM_BEFORE),
}
