"""What can go wrong inside the method.

EditingError
├── ShapeError               a tensor does not have the axes that its name promises
└── NoEditableChannelsError  the masks leave no gradient to follow
"""


class EditingError(ValueError):
    """Base of every error that `editing` raises."""


class ShapeError(EditingError):
    """A tensor whose shape contradicts its documented axes."""


class NoEditableChannelsError(EditingError):
    """Every channel of the direction is protected or its gradient is zero."""
