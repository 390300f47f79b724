"""django-rest-knox: a WSGI `application` without middleware that returns the user of a token.

The environment variable DATABASE_URL is its database. As a program, the module fills the empty database with 10 tokens
for each of 10,000 users and writes the tokens to the file TOKENS, one per line.
"""

import os
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.urls import path
from psycopg.conninfo import conninfo_to_dict

database = conninfo_to_dict(os.environ["DATABASE_URL"])
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": database.pop("dbname"),
            "OPTIONS": database,
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "knox"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["knox.auth.TokenAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for a benchmark",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402  (models need the settings)
from django.utils import timezone  # noqa: E402
from knox.models import AuthToken, get_digest_token  # noqa: E402
from knox.settings import CONSTANTS, knox_settings  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.response import Response  # noqa: E402


@api_view()
def me(request):
    return Response({"username": request.user.get_username()})


urlpatterns = [path("me", me)]
application = get_wsgi_application()


def fill():
    call_command("migrate", verbosity=0)
    users = User.objects.bulk_create([User(username=f"user{n}", password="!") for n in range(10_000)])
    expiry = timezone.now() + knox_settings.TOKEN_TTL
    rows, tokens = [], []
    for user in users * 10:
        digest, token = get_digest_token()
        rows.append(AuthToken(digest=digest, token_key=token[: CONSTANTS.TOKEN_KEY_LENGTH], user=user, expiry=expiry))
        tokens.append(token)
    AuthToken.objects.bulk_create(rows, batch_size=5_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    Path(os.environ["TOKENS"]).write_text("\n".join(tokens))


if __name__ == "__main__":
    fill()
