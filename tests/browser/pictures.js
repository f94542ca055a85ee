// Pictures on a web page of another origin.
"use strict";

const assert = require("node:assert/strict");

const { BASE_URL, TOKEN, PICTURE } = process.env;
const DOWNLOAD = `${BASE_URL}/_matrix/client/v1/media/download/${PICTURE}`;
const THUMBNAIL = `${BASE_URL}/_matrix/client/v1/media/thumbnail/${PICTURE}?width=320&height=240&method=scale`;
const LEGACY_DOWNLOAD = `${BASE_URL}/_matrix/media/v3/download/${PICTURE}`;

/// Width and height of the picture as `<img>` shows it.
function show(page, url) {
    return page.evaluate(async (url) => {
        const image = document.body.appendChild(new Image());
        image.src = url;
        await image.decode();
        return [image.naturalWidth, image.naturalHeight];
    }, url);
}

/// What a script of the page sees of an answer.
function ask(page, url, options) {
    return page.evaluate(
        async (url, options) => {
            const answer = await fetch(url, options);
            const { status, type, headers } = answer;
            const body = await answer.blob();
            const blob = URL.createObjectURL(body);
            return { status, type, headers: Object.fromEntries(headers), blob, size: body.size };
        },
        url,
        options,
    );
}

function withToken(headers = {}) {
    return { headers: { Authorization: `Bearer ${TOKEN}`, ...headers } };
}

async function checkAuthenticated(page) {
    const answer = await ask(page, DOWNLOAD, withToken());
    assert.deepEqual([answer.status, answer.type], [200, "cors"]);
    assert.deepEqual(await show(page, answer.blob), [640, 480]);
    assert.equal(answer.headers["content-type"], "image/jpeg");
    assert.equal(answer.headers["content-disposition"], "inline; filename=sunset.jpg");
    assert.equal(answer.headers["content-length"], String(answer.size));
    assert.equal(answer.headers["accept-ranges"], "bytes");

    const thumbnail = await ask(page, THUMBNAIL, withToken());
    assert.deepEqual(await show(page, thumbnail.blob), [320, 240]);

    const same = await ask(page, DOWNLOAD, withToken({ "If-None-Match": answer.headers.etag }));
    assert.equal(same.status, 304);
    const part = await ask(page, DOWNLOAD, withToken({ Range: "bytes=10-19" }));
    assert.deepEqual([part.status, part.size], [206, 10]);
    assert.equal(part.headers["content-range"], `bytes 10-19/${answer.size}`);
}

/// The page can read why it gets nothing.
async function checkRefusal(page) {
    const error = await page.evaluate(async (url) => {
        const answer = await fetch(url);
        return [answer.status, (await answer.json()).errcode];
    }, DOWNLOAD);
    assert.deepEqual(error, [401, "M_MISSING_TOKEN"]);
}

/// The page sends a file, at once and to an id that it creates first.
async function checkUploads(page) {
    const sent = await page.evaluate(
        async (base, authorization) => {
            const send = async (method, path, body) => {
                const headers = { Authorization: authorization, "Content-Type": "image/jpeg" };
                return (await fetch(`${base}/_matrix/media/${path}`, { method, headers, body })).json();
            };
            const { content_uri: at_once } = await send("POST", "v3/upload?filename=a.jpg", "bytes");
            const { content_uri: created } = await send("POST", "v1/create", undefined);
            const filled = await send("PUT", `v3/upload/${created.slice("mxc://".length)}`, "bytes");
            return { at_once, created, filled };
        },
        BASE_URL,
        `Bearer ${TOKEN}`,
    );
    assert.match(sent.at_once, /^mxc:\/\//);
    assert.match(sent.created, /^mxc:\/\//);
    assert.deepEqual(sent.filled, {});
}

require("./chromium.js")(async ({ page }) => {
    assert.deepEqual(await show(page, LEGACY_DOWNLOAD), [640, 480]);
    await checkAuthenticated(page);
    await checkRefusal(page);
    await checkUploads(page);
});
