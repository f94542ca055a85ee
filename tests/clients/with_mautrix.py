"""A client built with mautrix, as bridges and bots are."""

import asyncio
import logging

import aiohttp
from checks import BASE_URL, PASSWORD, PICTURE, TLS, USER_ID, jpeg_size, same
from mautrix.api import HTTPAPI
from mautrix.client import ClientAPI
from mautrix.errors import MatrixResponseError

logging.basicConfig(level=logging.INFO)


async def create_then_upload(client):
    """An id first, the bytes later."""
    created = await client.create_mxc()
    too_early = await status_of(client.download_media(created.content_uri, timeout_ms=0))
    same("a download before the upload", too_early, 504)
    try:
        await client.upload_media(PICTURE, mime_type="image/jpeg", filename="sunset.jpg", mxc=created.content_uri)
    except MatrixResponseError as error:
        # The answer to this upload is `{}` (specification, Synapse); mautrix 0.21.1 misses the URI in it.
        same("what the library misses", str(error), "`content_uri` not in response.")
    return created.content_uri


async def status_of(download):
    """The library raises what its HTTP client says."""
    try:
        await download
    except aiohttp.ClientResponseError as error:
        return error.status
    return 200


async def check_thumbnails(client, mxc):
    """Scaled and cropped."""
    scaled = await client.download_thumbnail(mxc, 320, 240, "scale")
    same("the size of the thumbnail", jpeg_size(scaled), (320, 240))
    cropped = await client.download_thumbnail(mxc, 96, 96, "crop")
    same("the size of the cropped thumbnail", jpeg_size(cropped), (96, 96))


async def check_headers(client, mxc):
    """The library gives the bytes alone; its own URL and session show the rest."""
    url = client.api.get_download_url(mxc, authenticated=True)
    token = {"Authorization": f"Bearer {client.api.token}"}
    async with client.api.session.get(url, headers=token) as answer:
        shown = answer.headers["Content-Type"], answer.content_disposition.type, answer.content_disposition.filename
    same("content type, disposition and file name", shown, ("image/jpeg", "inline", "sunset.jpg"))
    async with client.api.session.get(url) as answer:
        refused = answer.status, (await answer.json())["errcode"]
    same("a download without a token", refused, (401, "M_MISSING_TOKEN"))


async def main():
    """Everything that a bridge does with a picture."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=TLS)) as session:
        client = ClientAPI(USER_ID, api=HTTPAPI(BASE_URL, client_session=session))
        await client.login(password=PASSWORD)
        limit = (await client.get_media_repo_config()).upload_size
        same("whether the limit is a size", isinstance(limit, int) and limit > len(PICTURE), True)
        created = await create_then_upload(client)
        same("the picture", await client.download_media(created), PICTURE)
        # The id is there at once; whoever downloads waits for the bytes.
        promised = await client.upload_media(PICTURE, mime_type="image/jpeg", async_upload=True)
        same("the picture that was on its way", await client.download_media(promised, timeout_ms=20_000), PICTURE)
        await check_thumbnails(client, created)
        await check_headers(client, created)


asyncio.run(main())
