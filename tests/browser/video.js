// A film on a web page of another origin, red in its first half and blue in the second.
"use strict";

const assert = require("node:assert/strict");

const { BASE_URL, FILMS } = process.env;

/// Plays the beginning, seeks near the end, and tells what is seen there and then.
function watch(page, url) {
    return page.evaluate(async (url) => {
        const video = document.body.appendChild(document.createElement("video"));
        Object.assign(video, { muted: true, crossOrigin: "anonymous", src: url });
        const color = () => {
            const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
            const context = canvas.getContext("2d");
            context.drawImage(video, 0, 0, 1, 1);
            const [red, , blue] = context.getImageData(0, 0, 1, 1).data;
            return red > blue ? "red" : "blue";
        };
        await video.play();
        const first = color();
        video.pause();
        const target = video.duration * 0.9;
        await new Promise((seeked, failed) => {
            Object.assign(video, { onseeked: seeked, onerror: () => failed(video.error), currentTime: target });
        });
        const last = color();
        const seen = { first, last, seeked: Math.abs(video.currentTime - target) < 0.1, width: video.videoWidth };
        video.remove();
        return seen;
    }, url);
}

require("./chromium.js")(async ({ page }) => {
    // Its cache would ask for other ranges than those that the film asks for.
    await page.setCacheEnabled(false);
    // On a fast line all of a film may be there before the browser seeks.
    const line = { offline: false, latency: 0, downloadThroughput: 1 << 20, uploadThroughput: 1 << 20 };
    await (await page.createCDPSession()).send("Network.emulateNetworkConditions", line);
    for (const film of FILMS.split(" ")) {
        const url = `${BASE_URL}/_matrix/media/v3/download/${film}`;
        const answers = [];
        page.on("response", (answer) => answer.url() === url && answers.push(answer));

        const seen = await watch(page, url);

        assert.deepEqual(seen, { first: "red", last: "blue", seeked: true, width: 320 });
        const parts = answers.map((answer) => {
            const [, from, , size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers()["content-range"]);
            const [, asked] = /^bytes=(\d+)-/.exec(answer.request().headers().range);
            return { status: answer.status(), asked: Number(asked), from: Number(from), size: Number(size) };
        });
        const right = ({ status, asked, from }) => status === 206 && asked === from;
        assert.ok(parts.every(right), `each part by Range: ${JSON.stringify(parts)}`);
        const end = parts.some(({ from, size }) => from > size / 2);
        assert.ok(end, `the end without what is before it: ${JSON.stringify(parts)}`);
    }
});
