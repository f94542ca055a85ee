// A web page that puts a picture straight into the bucket (MSC3870), which is another origin.
"use strict";

const assert = require("node:assert/strict");

const { BASE_URL, TOKEN, BUCKET_HAS_CORS } = process.env;

/// What a client does: an id and a URL, the bytes to the URL, and word that they are there.
function upload(page) {
    return page.evaluate(
        async (base, token) => {
            const headers = { Authorization: `Bearer ${token}` };
            const canvas = Object.assign(document.createElement("canvas"), { width: 30, height: 20 });
            canvas.getContext("2d").fillRect(0, 0, 30, 20);
            const picture = await new Promise((made) => canvas.toBlob(made, "image/png"));
            const created = await fetch(`${base}/_matrix/media/v1/create`, { method: "POST", headers });
            const { content_uri, upload_url, upload_method } = await created.json();
            const id = content_uri.slice("mxc://".length);
            let put;
            try {
                put = (await fetch(upload_url, { method: upload_method, body: picture })).status;
            } catch (error) {
                put = error.name;
            }
            const complete = `${base}/_matrix/media/unstable/com.beeper.msc3870/upload/${id}/complete?filename=black.png`;
            const completed = await fetch(complete, { method: "POST", headers });
            return { id, put, completed: completed.status, other: new URL(upload_url).origin !== new URL(base).origin };
        },
        BASE_URL,
        TOKEN,
    );
}

function show(page, id) {
    return page.evaluate(
        async (url, token) => {
            const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
            const image = document.body.appendChild(new Image());
            image.src = URL.createObjectURL(await answer.blob());
            await image.decode();
            return [answer.headers.get("content-type"), image.naturalWidth, image.naturalHeight];
        },
        `${BASE_URL}/_matrix/client/v1/media/download/${id}`,
        TOKEN,
    );
}

require("./chromium")(async ({ page }) => {
    const { id, put, completed, other } = await upload(page);
    assert.equal(other, true, "the bucket is another origin");
    if (BUCKET_HAS_CORS === "yes") {
        assert.deepEqual([put, completed], [200, 200]);
        assert.deepEqual(await show(page, id), ["image/png", 30, 20]);
    } else {
        // The browser keeps the page from it.
        assert.deepEqual([put, completed], ["TypeError", 400]);
    }
});
