# -*- test-case-name: relaymail.test.deliver.test_routing -*-
"""
Tests for L{relaymail.deliver.routing}.

How mail then goes, the stories of smart hosts tell.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import succeed
from twisted.names import dns

from relaymail.deliver import routing
from relaymail.deliver.routing import withTLS
from relaymail.deliver.steering import LONGEST_REST
from relaymail.envelopes import Origin, Outline, Parameters
from relaymail.errors import RouteError
from relaymail.outcome.verdicts import HostState
from relaymail.protections import TLSResult
from relaymail.replies import TroubleKind
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.router import Discarding, Holding, NoWay, Refusing
from relaymail.route.rules import Action, Routing, Rule
from relaymail.route.sts.policy import Found, STSMode, STSPolicy
from relaymail.route.terms import Terms, Way
from relaymail.schedule.goals import goalOf
from relaymail.schedule.paces import State
from relaymail.schedule.rates import Rate
from relaymail.test.route.test_rules import messages, rules
from relaymail.test.stories.harness import FIRST as FIRST_HOST
from relaymail.test.stories.harness import Logged, StoryTestCase
from relaymail.testing.network import Fate

FIRST = (Host("a.example", named=True), Host("b.example", named=True))
NEWS = (Host("news.example", tls=TLSNeed.NEVER, named=True),)
SECURE = Parameters(requireTLS=True)


class SiteTests(StoryTestCase):
    """
    Where mail goes.
    """

    def test_siteFor(self) -> None:
        """
        To its sender's smart hosts, else to those of everybody, else to the
        destination's own.
        """
        siteFor, editor = self.world.manager.siteFor, "a@news.example"
        self.assertEqual(siteFor("example.org", editor), "example.org")
        self.set(senderHosts={"@news.example": NEWS})
        self.assertEqual(siteFor("example.org", editor), NEWS)
        self.assertEqual(siteFor("example.org", "a@example.com"), "example.org")
        self.set(smartHosts=list(FIRST))
        self.assertEqual(siteFor("example.org", editor), NEWS)
        self.assertEqual(siteFor("example.org"), FIRST)

    def test_sitesOf(self) -> None:
        """
        Mail for a destination may go to the hosts of all senders, each of which is
        named once.
        """
        manager = self.world.manager
        self.assertEqual(manager.sitesOf("example.org"), ("example.org",))
        self.set(senderHosts={"@news.example": NEWS, "a@news.example": NEWS})
        self.assertEqual(manager.sitesOf("example.org"), ("example.org", NEWS))
        self.set(smartHosts=NEWS)
        self.assertEqual(manager.sitesOf("example.org"), (NEWS,))
        self.assertEqual(withTLS((NEWS,)), (NEWS, Way(NEWS, requireTLS=True)))
        self.assertEqual(
            withTLS(("a.example",)),
            (
                "a.example",
                Way("a.example", requireTLS=True),
                Way("a.example", tlsOptional=True),
            ),
        )

    def test_lanes(self) -> None:
        """
        The lane of mail that may go over TLS only is beside that of the other,
        also where there is a rate.
        """
        manager: Any = self.world.manager
        plain = Outline("a@example.com", "b@example.org", 1)
        secure = Outline("a@example.com", "b@example.org", 1, parameters=SECURE)
        self.assertEqual(manager._laneOf(plain), "example.org")
        self.assertEqual(manager._laneOf(secure), Way("example.org", requireTLS=True))
        self.set(destinationRates={"*": Rate(1, 60.0)})
        self.assertEqual(
            goalOf(manager._laneOf(secure)), Way("example.org", requireTLS=True)
        )


class RulesTests(StoryTestCase):
    """
    Where mail goes by rules.
    """

    def site(self, recipient: str = "b@example.org", **said: Any) -> Any:
        """
        Give where a name goes.
        """
        manager: Any = self.world.manager
        sender = said.pop("sender", "a@example.com")
        return manager._laneOf(Outline(sender, recipient, 1, **said))

    def route(self, *rules: Rule) -> None:
        """
        Go by rules.
        """
        self.set(routing=Routing(rules))

    def test_rulesGoFirst(self) -> None:
        """
        What matches a rule goes by it, whatever is said of its sender and of all mail;
        what matches none as before.
        """
        self.set(smartHosts=FIRST, senderHosts={"@example.com": NEWS})
        shop = (Host("shop.example", named=True),)
        self.route(
            Rule(recipients=("example.org",), hosts=shop),
            Rule(recipients=("example.net",), users=("ann",), hosts=shop),
        )
        self.assertEqual(self.site(), shop)
        self.assertEqual(self.site("b@example.net"), NEWS)
        ann = Origin("192.0.2.1", "ann")
        self.assertEqual(self.site("b@example.net", origin=ann), shop)
        self.assertEqual(self.site("b@example.net", sender="c@d.example"), FIRST)

    def test_toMX(self) -> None:
        """
        A rule that names no hosts is for those of the destination; it is the usual
        site where all mail goes there.
        """
        self.route(Rule(recipients=("example.org",)))
        self.assertEqual(self.site(), "example.org")
        self.set(smartHosts=FIRST)
        self.assertEqual(self.site(), Way("example.org"))
        route = self.successResultOf(self.world.manager.hostsFor(Way("example.org")))
        self.assertEqual([host.name for host in route.hosts], ["mx.example.org"])

    def test_terms(self) -> None:
        """
        What goes on other terms goes apart; what is equal is one object.
        """
        terms = Terms(TLSLevel.ENCRYPT)
        self.route(Rule(recipients=("example.org",), terms=terms))
        way = self.site()
        self.assertEqual(way, Way("example.org", terms))
        self.assertIs(self.site("c@EXAMPLE.org"), way)
        secure = self.site(parameters=SECURE)
        self.assertEqual(secure, Way("example.org", terms, requireTLS=True))
        route = self.successResultOf(self.world.manager.hostsFor(way))
        self.assertEqual([host.tls for host in route.hosts], [TLSNeed.ENCRYPTED])

    def test_flags(self) -> None:
        """
        Mail that may go without TLS goes apart where that matters: not to hosts that
        are named, and not where it may go over TLS only.
        """
        optional = Parameters(tlsOptional=True)
        self.assertEqual(
            self.site(parameters=optional), Way("example.org", tlsOptional=True)
        )
        both = Parameters(tlsOptional=True, requireTLS=True)
        self.assertEqual(self.site(parameters=both), Way("example.org", None, True))
        self.set(smartHosts=FIRST)
        self.assertEqual(self.site(parameters=optional), FIRST)
        self.route(Rule(hosts=NEWS))
        self.assertEqual(self.site(parameters=optional), NEWS)
        self.assertEqual(self.site(parameters=SECURE), Way(NEWS, requireTLS=True))

    def test_nowhere(self) -> None:
        """
        What is refused, thrown away or held goes to no host; what was held and released
        goes on.
        """
        self.route(
            Rule("no", ("a.example",), action=Action.REFUSE, text="Never."),
            Rule("junk", ("b.example",), action=Action.DISCARD),
            Rule("look", action=Action.HOLD),
        )
        self.assertEqual(self.site("x@a.example"), Refusing("no", "Never."))
        self.assertEqual(self.site("x@b.example"), Discarding("junk"))
        self.assertEqual(self.site(), Holding("look"))
        self.assertEqual(self.site(isReleased=True), "example.org")
        self.assertEqual(withTLS((Holding("look"),)), (Holding("look"),))

    def test_sitesOf(self) -> None:
        """
        Mail for a destination may go to all that rules for it name, and by what is
        said beside them, if they leave some over.
        """
        manager = self.world.manager
        terms = Terms(TLSLevel.VERIFY)
        self.set(senderHosts={"@news.example": NEWS})
        self.route(
            Rule(recipients=("ann@example.org",), hosts=FIRST),
            Rule(recipients=("example.net",), hosts=NEWS),
            Rule(recipients=(".example.net",), action=Action.REFUSE),
            Rule(senders=("<>",), terms=terms),
        )
        back = Way("example.org", terms)
        # Nobody in particular is who sends notices.
        self.assertEqual(
            manager.sitesOf("example.org"), (back, FIRST, NEWS, "example.org")
        )
        self.assertEqual(manager.sitesOf("example.net"), (NEWS,))
        self.assertEqual(manager.sitesOf("a.example.net"), (Refusing("routes[2]"),))
        self.assertIs(manager.sitesOf("example.net"), manager.sitesOf("example.net"))
        self.route()
        self.assertEqual(manager.sitesOf("example.net"), ("example.net", NEWS))

    @settings(deadline=None, max_examples=50)
    @given(st.lists(rules, max_size=6), messages, st.booleans(), st.booleans())
    def test_allSites(
        self, said: list[Rule], message: Any, bySender: bool, isSmart: bool
    ) -> None:
        """
        Wherever mail for a destination goes, that is one of its sites.
        """
        recipient, sender, origin, isReleased = message
        terms = Terms(TLSLevel.VERIFY)
        ways: list[dict[str, Any]] = [{}, {"hosts": FIRST}, {"terms": terms}]
        told = [
            replace(rule, **ways[n % 3]) if rule.action is Action.DELIVER else rule
            for n, rule in enumerate(said)
        ]
        self.set(
            routing=Routing(told),
            senderHosts={"@example.org": NEWS} if bySender else {},
            smartHosts=FIRST[:1] if isSmart else (),
        )
        site = self.site(recipient, sender=sender, origin=origin, isReleased=isReleased)
        if not isinstance(site, NoWay):
            domain = recipient.partition("@")[2]
            self.assertIn(site, self.world.manager.sitesOf(domain))

    def test_siteFor(self) -> None:
        """
        It can be asked for whom and from where, too.
        """
        self.route(Rule(recipients=("ann@example.org",), users=("bob",), hosts=NEWS))
        siteFor, bob = self.world.manager.siteFor, Origin(user="bob")
        self.assertEqual(siteFor("example.org"), "example.org")
        self.assertEqual(siteFor("example.org", "", "ann@example.org", bob), NEWS)
        self.assertEqual(siteFor("example.org", "", "ann@example.org"), "example.org")

    def test_bounded(self) -> None:
        """
        The ways and sites that are remembered are bounded.
        """
        self.patch(routing, "_REMEMBERED", 3)
        self.route(Rule(terms=Terms()))
        manager: Any = self.world.manager
        for number in range(10):
            self.site(f"a@d{number}.example")
            manager.sitesOf(f"d{number}.example")
            self.assertLessEqual(len(manager._ways), 3)
            self.assertLessEqual(len(manager._sites[1]), 3)

    def test_manySites(self) -> None:
        """
        Where a destination has very many, they are not remembered.
        """
        self.route(
            *(
                Rule(senders=(f"@{n}.example",), hosts=(Host(f"h{n}.example"),))
                for n in range(20)
            )
        )
        manager: Any = self.world.manager
        self.assertEqual(len(manager.sitesOf("example.org")), 21)
        self.assertEqual(manager._sites[1], {})

    def test_longestRest(self) -> None:
        """
        Mail rests for a while at a time where others for the same destination may go
        by other hosts.
        """
        manager: Any = self.world.manager
        self.assertEqual(manager._longestRest("example.org"), inf)
        self.assertEqual(manager._longestRest(Way("example.org")), LONGEST_REST)
        self.route(Rule(recipients=("example.net",)))
        self.assertEqual(manager._longestRest("example.org"), LONGEST_REST)


class RelayedTests(StoryTestCase):
    """
    What becomes of mail that rules let go nowhere.
    """

    def test_refused(self) -> None:
        """
        What is queued and refused is returned, with what the rule says.
        """
        rule = Rule("no", ("example.org",), action=Action.REFUSE, text="Never there.")
        self.set(routing=Routing([rule]))
        with Logged() as logged:
            self.relayed()
        self.assertIn("Mail is refused by the rule no", logged.texts)
        (notice,) = self.notices()
        self.assertIn("5.7.1", notice.as_string())
        self.assertIn("Never there.", notice.as_string())
        self.assertEmpty()

    def test_discarded(self) -> None:
        """
        What is thrown away is done with: nobody is told, and there is a line.
        """
        rule = Rule("junk", ("example.org",), action=Action.DISCARD)
        self.set(routing=Routing([rule]))
        with Logged() as logged:
            self.relayed("b@example.org", "c@example.org")
        self.assertEqual(self.notices(), [])
        self.assertEmpty()
        lines = [line for line in logged.outcomes if line.startswith("discarded")]
        self.assertEqual(len(lines), 2)
        self.assertIn("status=5.7.1", lines[0])
        self.assertIn("a rule of this relay throws it away", lines[0])
        self.assertEqual([text for text in logged.texts if "Error" in text], [])

    def test_held(self) -> None:
        """
        What is held waits for an operator, costs no attempt, and does not keep other
        mail from going.
        """
        rule = Rule("look", ("b@example.org",), action=Action.HOLD, text="Who?")
        self.set(routing=Routing([rule]))
        self.world.host(FIRST_HOST)
        name, other = self.relayed("b@example.org", "c@example.org")
        queue: Any = self.world.queue
        self.assertEqual(queue.held, {name: "by the rule look: Who?"})
        self.assertNotIn(other, queue._entries)
        self.assertEqual(queue.letter(name).attempts, 0)
        # A rule that is no more holds nothing.
        self.set(routing=Routing())
        self.successResultOf(queue.release(name))
        self.world.run(10)
        self.assertEmpty()

    def test_oneWayFails(self) -> None:
        """
        Where the hosts of a rule fail, other mail for the destination goes on, and
        what the rule is for goes before long when they are back.
        """
        shop = (Host("192.0.2.77", 25, TLSNeed.NEVER, named=True),)
        self.world.network.fates["192.0.2.77"] = Fate.REFUSED
        self.set(routing=Routing([Rule(recipients=("b@example.org",), hosts=shop)]))
        host = self.world.host(FIRST_HOST)
        for _ in range(10):
            self.relayed("b@example.org", "c@example.org", seconds=300)
        self.assertEqual(len(host.received), 10)
        standing = self.world.manager.standingOf("example.org", "", "b@example.org")
        self.assertEqual(standing.state, State.SUSPENDED)
        standing = self.world.manager.standingOf("example.org", "", "c@example.org")
        self.assertEqual(standing.state, State.READY)
        del self.world.network.fates["192.0.2.77"]
        back = self.world.host("192.0.2.77")
        self.world.run(4000)
        self.assertEqual(len(back.received), 10)
        self.assertEmpty()

    def test_heldAfterAll(self) -> None:
        """
        What waits already is held by rules that are new.
        """
        self.world.network.fates[FIRST_HOST] = Fate.REFUSED
        (name,) = self.relayed()
        self.set(routing=Routing([Rule("look", action=Action.HOLD)]))
        self.world.manager.settingsChanged()
        self.world.run(600)
        self.assertIn(name, self.world.queue.held)


class HostsTests(StoryTestCase):
    """
    By which hosts.
    """

    def route(self, site: Any) -> tuple[Host, ...]:
        """
        Give the hosts of a site.
        """
        manager: Any = self.world.manager
        route: Route = self.successResultOf(manager._routeTo(site))
        return route.hosts

    def trouble(self, site: Any) -> Any:
        """
        Give why a site has none.
        """
        manager: Any = self.world.manager
        error: Any = self.failureResultOf(manager._routeTo(site), RouteError).value
        return error.trouble

    def test_named(self) -> None:
        """
        Those that were named, whatever is named for all mail, and those that did not
        work behind the others.
        """
        self.set(smartHosts=NEWS)
        self.assertEqual(self.route(FIRST), FIRST)
        self.world.manager.noteHost(FIRST[0], HostState.BAD)
        self.assertEqual(self.route(FIRST), FIRST[::-1])
        self.assertEqual(self.route("example.org"), NEWS)

    def test_namedOverTLSOnly(self) -> None:
        """
        A named host must show a certificate that is valid for it, and is remembered
        apart from how it is for other mail.
        """
        first, second = self.route(Way(FIRST, requireTLS=True))
        for host, named in ((first, FIRST[0]), (second, FIRST[1])):
            self.assertEqual(host.name, named.name)
            self.assertIs(host.tls, TLSNeed.VERIFIED)
            self.assertTrue(host.requireTLS)
        self.world.manager.noteHost(first, HostState.BAD)
        self.assertEqual(self.route(Way(FIRST, requireTLS=True)), (second, first))
        self.assertEqual(self.route(FIRST), FIRST)

    def test_socketOverTLSOnly(self) -> None:
        """
        There is no TLS over a socket.
        """
        socket = Host("/run/lmtp", path="/run/lmtp", lmtp=True, named=True)
        (left,) = self.route(Way((socket, *NEWS), requireTLS=True))
        self.assertEqual(left.name, "news.example")
        trouble = self.trouble(Way((socket,), requireTLS=True))
        self.assertIs(trouble.kind, TroubleKind.NO_REQUIRETLS)
        self.assertIn("socket", trouble.detail)

    def test_foundOverTLSOnly(self) -> None:
        """
        The hosts that a plain lookup gives are not known for certain; those are that
        are below the destination, or that a signed lookup gives (RFC 8689 4.2.1).
        """
        (own,) = self.route(Way("example.org", requireTLS=True))
        self.assertEqual((own.tls, own.requireTLS), (TLSNeed.VERIFIED, True))
        self.world.exchange("example.org", {"mx.hoster.example": FIRST_HOST})
        trouble = self.trouble(Way("example.org", requireTLS=True))
        self.assertIs(trouble.kind, TroubleKind.NO_REQUIRETLS)
        self.assertIn("a smart host that is named can take it", trouble.detail)
        self.world.manager.mxcalc.resolver.signed.add("example.org")
        (host,) = self.route(Way("example.org", requireTLS=True))
        self.assertEqual((host.name, host.tls), ("mx.hoster.example", TLSNeed.VERIFIED))

    def test_onTerms(self) -> None:
        """
        The terms of a way are those of its hosts, else those of all mail, else what
        all sessions need.
        """
        level = [TLSNeed.NEVER, TLSNeed.ENCRYPTED, TLSNeed.VERIFIED]
        self.set(tls=TLSNeed.NEVER)
        needs = [self.route("example.org")[0].tls]
        self.set(terms=Terms(TLSLevel.ENCRYPT))
        needs.append(self.route("example.org")[0].tls)
        verify = Way("example.org", Terms(TLSLevel.VERIFY))
        needs.append(self.route(verify)[0].tls)
        self.assertEqual(needs, level)

    def test_everyNeed(self) -> None:
        """
        What all sessions need stands for the level that needs as much.
        """
        self.set(terms=None)
        for need in TLSNeed:
            self.set(tls=need)
            if need is TLSNeed.DANE:
                result = self.trouble("example.org").result
                self.assertIs(result, TLSResult.DANE_REQUIRED)
            else:
                self.assertIs(self.route("example.org")[0].tls, need)

    def test_policies(self) -> None:
        """
        What the policies of destinations say is kept to, but for mail for which TLS is
        not required.
        """
        policy = STSPolicy(STSMode.ENFORCE, ("mx.example.org",), 86_400)

        class Policies:
            def policyFor(self, domain: str) -> Any:
                return Found(policy)

        self.set(policies=Policies(), tls=TLSNeed.OFFERED)
        self.assertIs(self.route("example.org")[0].tls, TLSNeed.VERIFIED)
        easy = Way("example.org", tlsOptional=True)
        self.assertIs(self.route(easy)[0].tls, TLSNeed.OFFERED)

    def test_fallback(self) -> None:
        """
        Fallback hosts come behind those of the destination, but before those that did
        not work.
        """
        first, second = FIRST
        self.set(terms=Terms(TLSLevel.NONE, fallback=FIRST))
        names = [host.name for host in self.route("example.org")]
        self.assertEqual(names, ["mx.example.org", first.name, second.name])
        self.world.manager.noteHost(Host("mx.example.org"), HostState.BAD)
        self.world.manager.noteHost(first, HostState.BAD)
        names = [host.name for host in self.route("example.org")]
        self.assertEqual(names, [second.name, "mx.example.org", first.name])

    def test_getMXOnly(self) -> None:
        """
        A calculator with C{getMX} only names the one host.
        """

        class One:
            def getMX(self, domain: str) -> Any:
                return dns.Record_MX(name=f"one.{domain}")

        self.set(mxcalc=One(), terms=Terms(TLSLevel.DANE))
        (host,) = self.route("example.org")
        self.assertEqual((host.name, host.tls), ("one.example.org", TLSNeed.OFFERED))

    def test_ownWayToNameHosts(self) -> None:
        """
        A program's own C{hostsFor} is asked for the domain in both cases; of its
        hosts those that are named may be used over TLS only.
        """
        asked: list[Any] = []
        hosts = (Host("own.example", named=True), Host("found.example"))

        def hostsFor(destination: Any) -> Any:
            asked.append(destination)
            return succeed(Route(hosts))

        self.patch(self.world.manager, "hostsFor", hostsFor)
        self.assertEqual(self.route("example.org"), hosts)
        (host,) = self.route(Way("example.org", requireTLS=True))
        self.assertEqual((host.name, host.tls), ("own.example", TLSNeed.VERIFIED))
        self.assertEqual(asked, ["example.org", "example.org"])
