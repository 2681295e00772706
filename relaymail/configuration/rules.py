# -*- test-case-name: relaymail.test.configuration.test_rules -*-
"""
From what a configuration says of how mail goes to the rules and the terms that it goes
by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from relaymail.configuration.delivery import Delivery
from relaymail.configuration.routes import RouteTable
from relaymail.configuration.ways import Described
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.rules import Action, Rule
from relaymail.route.terms import Terms

#: Makes hosts to deliver to of smart hosts, which are reached on certain terms.
MakeHosts = Callable[[Iterable[Described], Terms], tuple[Host, ...]]


def usualTerms(delivery: Delivery) -> Terms:
    """
    Give the terms of all mail, but for the hosts that get what others do not take.
    """
    return Terms(
        level=delivery.tls,
        caFile=delivery.caFile,
        certFile=delivery.clientCert,
        keyFile=delivery.clientKey,
        source=delivery.source,
        helo=delivery.helo,
    )


def ruleOf(route: RouteTable | Rule, usual: Terms, hosts: MakeHosts) -> Rule:
    """
    Make the rule that a route describes.

    @param usual: The terms of all mail.
    @param hosts: Makes the hosts that it names.
    """
    if isinstance(route, Rule):
        return replace(route, hosts=hosts(route.hosts, usual)) if route.hosts else route
    rule = bareRule(route)
    if route.action is not Action.DELIVER:
        return rule
    own = termsOf(route, usual)
    fallback = hosts(route.fallback or (), own)
    if route.via:
        # One after the other is just what such hosts are.
        return replace(rule, hosts=(*hosts(route.via, own), *fallback))
    return replace(rule, terms=route.termsOver(usual, fallback))


def termsOf(route: RouteTable | Rule, usual: Terms) -> Terms:
    """
    Give the terms of the mail of a route, but for the hosts that get what others do
    not take.

    @param usual: The terms of all mail.
    """
    told = route.terms if isinstance(route, Rule) else route.termsOver(usual, ())
    return usual if told is None else told


def bareRule(route: RouteTable | Rule) -> Rule:
    """
    Make a rule of what a route is for, that names no hosts.
    """
    return Rule(
        route.name,
        route.recipients,
        route.senders,
        route.clients,
        route.users,
        route.action,
        text=route.text,
    )


def bareRules(delivery: Delivery) -> tuple[Rule, ...]:
    """
    Make rules of what all routes are for, that name no hosts: no secret is read.
    """
    return tuple(map(bareRule, delivery.routes))


def onTerms(host: Host, terms: Terms) -> Host:
    """
    Give a host that the operator named as it is reached: what was not said with it is
    as for other mail.
    """
    source = host.source or terms.source
    cert, key = terms.certFile, terms.keyFile
    if host.certFile is not None:
        cert, key = host.certFile, host.keyFile
    if host.tls is TLSNeed.NEVER:
        cert, key = host.certFile, host.keyFile
    if host.path is not None:
        # There are no addresses at a socket of this machine.
        source = host.source
    found = replace(
        host, source=source, helo=host.helo or terms.helo, certFile=cert, keyFile=key
    )
    return host if found == host else found


def checkFilesOf(delivery: Delivery) -> None:
    """
    See that the certificates can be used that are named for hosts of destinations.

    @raise ConfigurationError: When they cannot, with the option that names them.
    """
    said = {_files(usualTerms(delivery)): "delivery"}
    for index, route in enumerate(delivery.routes):
        # Many routes may name the same.
        files = _files(termsOf(route, Terms()))
        said.setdefault(files, f"delivery.routes[{index}]")
    for files, path in said.items():
        try:
            checkFiles(files)
        except ConfigurationError as e:
            raise ConfigurationError(f"{path}: {e}") from e


def _files(terms: Terms) -> Terms:
    return Terms(caFile=terms.caFile, certFile=terms.certFile, keyFile=terms.keyFile)


def checkFiles(terms: Terms) -> None:
    """
    See that the certificates that terms name can be used.

    @raise ConfigurationError: When they cannot.
    """
    # Both take a while to import, and few name any.
    if terms.caFile is not None:
        from relaymail.route.tlscontexts import trustedIn

        trustedIn(terms.caFile)
    if terms.certFile is not None:
        from relaymail.certificates import loadTLS

        loadTLS(terms.keyFile, terms.certFile)
