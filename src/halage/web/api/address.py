"""What holds for the address of every request to the API."""

from fastapi import Request

from halage.base.errors import Invalid

LISTS = frozenset({"dimension", "field", "group"})
"""The members that may be given several times."""


async def each_member_once(request: Request) -> None:
    """Refuse a member that is given twice: one of the two would be left out without a word."""
    query = request.query_params
    for name in query:
        given = len(query.getlist(name))
        if given > 1 and name not in LISTS:
            raise Invalid(f"{name} is given {given} times in the address: give it once.")
