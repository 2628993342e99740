"""The kinds of step that a plan is made of, and what a step is: one place to import them from.

``step`` says what a step is, ``host_steps`` has those that the monitor executes, ``tree_steps`` and ``child_steps``
those of the container's first process; ``preparation`` has the engine's own, which the launcher never sees.
"""

from __future__ import annotations

# All that these modules define, without a list that each new kind would have to enter.
from wherry.runtime.child_steps import *  # noqa: F403
from wherry.runtime.host_steps import *  # noqa: F403
from wherry.runtime.step import *  # noqa: F403
from wherry.runtime.tree_steps import *  # noqa: F403
