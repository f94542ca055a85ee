"""A client built with matrix-nio."""

import asyncio
import io
from urllib.parse import urlsplit

import nio
from checks import BASE_URL, PASSWORD, PICTURE, TLS, USER_ID, jpeg_size, same


def ok(answer):
    """Ends the client if the library says that the request failed."""
    if isinstance(answer, nio.ErrorResponse):
        raise SystemExit(f"matrix-nio got {answer}")
    return answer


async def create_then_upload(client):
    """The library does not know ids that are created first, so it only sends the requests."""
    token = {"Authorization": f"Bearer {client.access_token}"}
    created = await client.send("POST", "/_matrix/media/v1/create", headers=token)
    same("status of create", created.status, 200)
    mxc = (await created.json())["content_uri"]
    media_id = "/".join(split(mxc))
    early = await client.send("GET", f"/_matrix/client/v1/media/download/{media_id}?timeout_ms=0", headers=token)
    refused = early.status, (await early.json())["errcode"]
    same("a download before the upload", refused, (504, "M_NOT_YET_UPLOADED"))
    headers = {**token, "Content-Type": "image/jpeg"}
    stored = await client.send("PUT", f"/_matrix/media/v3/upload/{media_id}", PICTURE, headers)
    same("the later upload", (stored.status, await stored.json()), (200, {}))
    return mxc


def split(mxc):
    """Server name and media ID."""
    parts = urlsplit(mxc)
    return parts.netloc, parts.path[1:]


async def check_download(client, mxc, filename):
    """The library's own download; it asks `/_matrix/client/v1/media`."""
    file = ok(await client.download(mxc))
    same("the picture", file.body, PICTURE)
    same("its content type", file.content_type, "image/jpeg")
    same("its file name", file.filename, filename)
    named = ok(await client.download(mxc, filename="other.jpg"))
    same("the file name that was asked for", (named.filename, named.body == PICTURE), ("other.jpg", True))


async def check_thumbnails(client, mxc):
    """Scaled and cropped."""
    scaled = ok(await client.thumbnail(*split(mxc), 320, 240, nio.ResizingMethod.scale))
    same("the thumbnail", (scaled.content_type, jpeg_size(scaled.body)), ("image/jpeg", (320, 240)))
    cropped = ok(await client.thumbnail(*split(mxc), 96, 96, nio.ResizingMethod.crop))
    same("the cropped thumbnail", jpeg_size(cropped.body), (96, 96))


async def check_that_strangers_get_nothing(client, mxc):
    """Media that were uploaded to be seen by users only."""
    answer = await client.send("GET", f"/_matrix/client/v1/media/download/{'/'.join(split(mxc))}")
    same("a download without a token", (answer.status, (await answer.json())["errcode"]), (401, "M_MISSING_TOKEN"))


async def main():
    """Everything that a client does with a picture."""
    client = nio.AsyncClient(BASE_URL, USER_ID, ssl=TLS)
    try:
        ok(await client.login(PASSWORD))
        limit = ok(await client.content_repository_config()).upload_size
        same("whether the limit is a size", isinstance(limit, int) and limit > len(PICTURE), True)
        created = await create_then_upload(client)
        await check_download(client, created, None)
        uploaded, _ = await client.upload(io.BytesIO(PICTURE), "image/jpeg", "sunset.jpg", filesize=len(PICTURE))
        await check_download(client, ok(uploaded).content_uri, "sunset.jpg")
        await check_thumbnails(client, created)
        await check_that_strangers_get_nothing(client, created)
    finally:
        await client.close()


asyncio.run(main())
