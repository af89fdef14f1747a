"""What can go wrong inside the method.

EditingError
├── ShapeError               a tensor does not have the axes that its name promises
├── NoGraphsError            CUDA graphs were asked for where there is no CUDA device
├── NoEditableChannelsError  the masks leave no gradient to follow
└── UnsupportedMethodError   a way to edit that this model's latent space does not allow
"""


class EditingError(ValueError):
    """Base of every error that `editing` raises."""


class ShapeError(EditingError):
    """A tensor whose shape contradicts its documented axes."""


class NoGraphsError(EditingError):
    """CUDA graphs on a device that has none."""


class NoEditableChannelsError(EditingError):
    """Every channel of the direction is protected or its gradient is zero."""


class UnsupportedMethodError(EditingError):
    """A method that a model cannot use; the message says why."""
