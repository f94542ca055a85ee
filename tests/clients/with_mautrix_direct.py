"""A client built with mautrix, as bridges are, that puts its files straight into the bucket (MSC3870)."""

import asyncio
import logging

import aiohttp
from checks import BASE_URL, PASSWORD, PICTURE, TLS, USER_ID, same
from mautrix.api import HTTPAPI
from mautrix.client import ClientAPI

logging.basicConfig(level=logging.DEBUG)


async def main():
    """The library takes the URL by itself if there is one."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=TLS)) as session:
        client = ClientAPI(USER_ID, api=HTTPAPI(BASE_URL, client_session=session))
        await client.login(password=PASSWORD)
        features = (await client.versions()).unstable_features
        same("the flag of the proposal", features.get("com.beeper.msc3870"), True)
        promised = await client.upload_media(
            PICTURE, mime_type="image/jpeg", filename="sunset.jpg", async_upload=True
        )
        same("the picture that was on its way", await client.download_media(promised, timeout_ms=20_000), PICTURE)
        url = client.api.get_download_url(promised, authenticated=True)
        token = {"Authorization": f"Bearer {client.api.token}"}
        async with client.api.session.get(url, headers=token) as answer:
            shown = answer.headers["Content-Type"], answer.content_disposition.type, answer.content_disposition.filename
        same("content type, disposition and file name", shown, ("image/jpeg", "inline", "sunset.jpg"))


asyncio.run(main())
