// Files that are harmful to whoever opens them.
"use strict";

const assert = require("node:assert/strict");

const { BASE_URL, TOKEN } = process.env;
const RAN = "the script ran";

/// A script that shows that it runs, in the title and by asking for a path of our site.
const script = (site, path) => `document.title = "${RAN}"; new Image().src = "${site.url}${path}";`;
const html = (site, path) => `<!DOCTYPE html><title>shown</title><p>text</p><script>${script(site, path)}</script>`;
const svg = (site, path) =>
    `<svg xmlns="http://www.w3.org/2000/svg"><title>shown</title><script>${script(site, path)}</script></svg>`;

async function upload(type, body) {
    const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": type };
    const answer = await fetch(`${BASE_URL}/_matrix/media/v3/upload`, { method: "POST", headers, body });
    const { content_uri: mxc } = await answer.json();
    return `${BASE_URL}/_matrix/media/v3/download/${mxc.slice("mxc://".length)}`;
}

/// Goes to the URL as if it was typed in; tells whether that is shown, or is a download.
async function open(browser, url) {
    const page = await browser.newPage();
    const session = await page.createCDPSession();
    await session.send("Browser.setDownloadBehavior", { behavior: "deny", eventsEnabled: true });
    let downloads = 0;
    session.on("Browser.downloadWillBegin", () => downloads++);
    await page.goto(url).catch((error) => assert.match(error.message, /net::ERR_ABORTED/));
    return { page, downloaded: () => downloads > 0 };
}

/// Nothing that was sent before can still be on its way once the site has answered this.
async function checkThatNothingRan(page, site, path) {
    assert.notEqual(await page.title(), RAN);
    await page.goto(`${site.url}after-${path}`);
    assert.ok(!site.asked.includes(`/${path}`), `the script of ${path} ran`);
}

async function isDownloaded({ browser, site }, type, path, body) {
    const { page, downloaded } = await open(browser, await upload(type, body(site, path)));
    await checkThatNothingRan(page, site, path);
    assert.ok(downloaded(), `${type} is a download`);
    await page.close();
}

/// Shows the document inline, as it would be if the header that makes it a download was lost,
/// without the headers in `lost`.
async function openWithout(browser, url, lost) {
    const page = await browser.newPage();
    const session = await page.createCDPSession();
    const violations = [];
    session.on("Log.entryAdded", ({ entry }) => violations.push(entry.text));
    await session.send("Log.enable");
    session.on("Fetch.requestPaused", async ({ requestId, responseHeaders, responseStatusCode }) => {
        const { body } = await session.send("Fetch.getResponseBody", { requestId });
        const kept = responseHeaders.filter(({ name }) => !lost.includes(name.toLowerCase()));
        const answer = { requestId, responseCode: responseStatusCode, responseHeaders: kept, body };
        await session.send("Fetch.fulfillRequest", answer);
    });
    await session.send("Fetch.enable", { patterns: [{ urlPattern: `${BASE_URL}/*`, requestStage: "Response" }] });
    await page.goto(url);
    return { page, violations };
}

async function isStoppedByPolicy({ browser, site }, type, path, body) {
    const url = await upload(type, body(site, path));
    const shown = await openWithout(browser, url, ["content-disposition"]);
    assert.equal(await shown.page.title(), "shown", `${type} is shown`);
    const stopped = shown.violations.filter((text) => text.startsWith("Blocked script execution"));
    assert.notEqual(stopped.length, 0, `${type}: ${shown.violations}`);
    await checkThatNothingRan(shown.page, site, path);
    await shown.page.close();
}

/// So that the checks above mean something.
async function wouldRunWithoutPolicy({ browser, site }, type, path, body) {
    const url = await upload(type, body(site, path));
    const shown = await openWithout(browser, url, ["content-disposition", "content-security-policy"]);
    assert.equal(await shown.page.title(), RAN, `${type} without the headers`);
    await shown.page.close();
}

/// What says that it is something else is taken at its word.
async function isWhatItSays({ browser, site }, type, path, body) {
    const { page } = await open(browser, await upload(type, body(site, path)));
    assert.equal(await page.evaluate(() => document.contentType), type);
    await checkThatNothingRan(page, site, path);
    await page.close();
}

/// Nor does a page take it for its own script.
async function isNoScriptOfAPage({ page, site }) {
    await page.goto(site.url);
    const url = await upload("image/png", `document.title = "${RAN}"`);
    const loaded = await page.evaluate(
        (src) =>
            new Promise((done) => {
                const handlers = { onload: () => done(true), onerror: () => done(false) };
                document.head.append(Object.assign(document.createElement("script"), { src, ...handlers }));
            }),
        url,
    );
    assert.ok(!loaded, "a picture is no script");
    assert.notEqual(await page.title(), RAN);
}

require("./chromium.js")(async (test) => {
    for (const [type, name, body] of [["text/html", "html", html], ["image/svg+xml", "svg", svg]]) {
        await isDownloaded(test, type, `${name}-downloaded`, body);
        await isStoppedByPolicy(test, type, `${name}-stopped`, body);
        await wouldRunWithoutPolicy(test, type, `${name}-runs`, body);
    }
    await isWhatItSays(test, "image/png", "as-png", html);
    await isWhatItSays(test, "text/plain", "as-text", html);
    await isNoScriptOfAPage(test);
});
