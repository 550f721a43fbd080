"""What an extra brings, looked for when its module is imported."""

from importlib import import_module

from headrace import ConfigError


def need(extra: str, *modules: str) -> None:
    """Refuse to go on without an extra of headrace.

    Raises:
        ConfigError: one of its modules is missing.
    """
    for module in modules:
        try:
            import_module(module)
        except ImportError as exc:
            raise ConfigError(
                f"headrace.contrib.{extra} needs {module}; run: pip install 'headrace[{extra}]'"
            ) from exc
