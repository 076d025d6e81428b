"""Whose task it is: a row of any model, in whichever database the project keeps that."""

from __future__ import annotations

import contextlib
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist
from django.db import models

from bgtasks import conf


def owned_by(creator: models.Model) -> dict[str, Any]:
    """Return the columns of what this model instance created; to filter by, too."""
    return {
        "creator_content_type_id": ContentType.objects.get_for_model(creator).pk,
        "creator_object_id": str(creator.pk),
    }


class CreatorKey(GenericForeignKey):
    """Django's generic foreign key, which looks for everything in the database of the row that has it."""

    def contribute_to_class(self, cls: type[models.Model], name: str, **options: Any) -> None:
        super().contribute_to_class(cls, name, **options)
        setattr(cls, name, Creator(self, getattr(cls, name)))


class Creator:
    """The attribute `creator`: written as two columns, and looked for where the project's routers send its model."""

    def __init__(self, field: CreatorKey, usual: Any) -> None:
        self.field = field
        self.is_cached = field.is_cached
        # Several at once come from the database of the tasks: `prefetch_related` is for those who have one alone.
        self.get_prefetch_querysets = usual.get_prefetch_querysets

    def __get__(self, task: Any, owner: Any = None) -> Any:
        if task is None:
            return self
        known = self.field.get_cached_value(task, default=None)
        if known is None or not _is_of(task, known):
            known = _found(task)
            self.field.set_cached_value(task, known)
        return known

    def __set__(self, task: Any, creator: models.Model | None) -> None:
        columns = {"creator_content_type_id": None, "creator_object_id": None} if creator is None else owned_by(creator)
        for name, value in columns.items():
            setattr(task, name, value)
        self.field.set_cached_value(task, creator)


def _is_of(task: Any, creator: models.Model) -> bool:
    return all(getattr(task, name) == value for name, value in owned_by(creator).items())


def _found(task: Any) -> models.Model | None:
    """Return the creator; None if the row, or its model, is gone."""
    if task.creator_content_type_id is None:
        return None
    with contextlib.suppress(ObjectDoesNotExist):
        model = ContentType.objects.get_for_id(task.creator_content_type_id).model_class()
        if model is not None:
            found: models.Model = model._base_manager.get(pk=task.creator_object_id)
            return found
    return None


def forget_type(collector: Any, field: Any, tasks: Any, using: str) -> None:
    """Unset the content type that is deleted, if tasks are in its database; in another one nothing refers to it."""
    if using == conf.current().database:
        models.SET_NULL(collector, field, tasks, using)


forget_type.lazy_sub_objs = True  # type: ignore[attr-defined] # not even asked for, where there is no such table
