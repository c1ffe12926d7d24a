"""The shapes of annotations, by jaxtyping, which is imported when one is asked for.

Annotations are strings until a checker reads them; until then its import, longer than that of all
that a module needs otherwise, would be for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool as Bool
    from jaxtyping import Float as Float
    from jaxtyping import Int as Int
    from jaxtyping import Real as Real
else:

    class _Later:
        """``Float[Tensor, "n"]`` is jaxtyping's, from the moment on that it is written."""

        def __set_name__(self, owner: type, name: str) -> None:
            self.name = name

        def __getitem__(self, tensor_and_axes: Any) -> Any:
            import jaxtyping

            return getattr(jaxtyping, self.name)[tensor_and_axes]

    class _Names:
        Bool, Float, Int, Real = _Later(), _Later(), _Later(), _Later()

    Bool, Float, Int, Real = _Names.Bool, _Names.Float, _Names.Int, _Names.Real
