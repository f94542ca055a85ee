//! SVG.

use super::{Hostile, Size};

pub(crate) fn honest() -> Vec<u8> {
    drawing(
        "<defs><linearGradient id='g'><stop offset='0' stop-color='red'/><stop offset='1' stop-color='#00f'/></linearGradient>\
         <filter id='f'><feGaussianBlur stdDeviation='2'/></filter></defs><rect width='60' height='60' fill='url(#g)' filter='url(#f)'/>\
         <g opacity='.5'><circle cx='50' cy='50' r='30'/></g><text x='9' y='60' font-size='20'>Abc</text>",
    )
}

fn drawing(content: &str) -> Vec<u8> {
    format!(
        "<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' \
         width='100' height='100'>{content}</svg>"
    )
    .into_bytes()
}

/// Ten of the next, ten times over.
fn laughs(element: &str, reference: &str) -> String {
    let level = |level: u32| {
        let next = reference.replace('@', &(level + 1).to_string()).repeat(10);
        format!("<{element} id='a{level}' width='9' height='9'>{next}</{element}>")
    };
    (0..10).map(level).collect()
}

pub(crate) fn bombs(size: Size) -> Vec<Hostile> {
    let million = size.many(1_000_000);
    let shown = "<rect width='90' height='90' fill='url(#a0)' mask='url(#a0)' clip-path='url(#a0)' filter='url(#a0)'/>";
    let declared = |declaration: &str| {
        format!(
            "<!DOCTYPE svg [{declaration}]><svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><text>&a9;</text></svg>"
        )
    };
    let entity = |level: u32| format!("<!ENTITY a{level} '{}'>", format!("&a{};", level - 1).repeat(10));
    let laughing: String = (1..10).map(entity).collect();
    let bombs = [
        ("longest-sides.svg", "<svg xmlns='http://www.w3.org/2000/svg' width='1e30' height='1e30'/>".to_owned()),
        ("no-sides.svg", "<svg xmlns='http://www.w3.org/2000/svg' width='0' height='0'/>".to_owned()),
        ("entities.svg", declared(&format!("<!ENTITY a0 'lol'>{laughing}"))),
        ("entity-of-a-file.svg", declared("<!ENTITY a9 SYSTEM 'file:///etc/passwd'>")),
        ("entity-by-parameter.svg", declared("<!ENTITY % p SYSTEM 'http://127.0.0.1/x.dtd'> %p;")),
    ];
    let drawings = [
        ("script.svg", "<script>while(true){}</script><rect onload='alert(1)' width='9' height='9'/>".to_owned()),
        ("address.svg", "<image width='9' height='9' xlink:href='http://127.0.0.1:1/'/>".to_owned()),
        ("file.svg", "<image width='9' height='9' href='file:///etc/passwd'/><image width='9' height='9' href='/dev/zero'/>".to_owned()),
        ("style-of-another.svg", "<style>@import url(http://127.0.0.1:1/); *{fill:url(http://127.0.0.1:1/)}</style><rect width='9' height='9'/>".to_owned()),
        ("deep.svg", "<g>".repeat(million) + &"</g>".repeat(million)),
        ("just-deep-enough.svg", "<g opacity='.9' filter='blur(1)'>".repeat(60) + "<rect width='9' height='9'/>" + &"</g>".repeat(60)),
        ("a-million-elements.svg", "<rect width='9' height='9'/>".repeat(million)),
        ("as-many-as-are-allowed.svg", "<rect width='100' height='100' stroke='red'/>".repeat(size.many(19_000))),
        ("a-million-attributes.svg", format!("<g {}/>", (0..million).fold(String::new(), |all, at| all + &format!("a{at}='' ")))),
        ("a-million-points.svg", format!("<path stroke='red' d='M0 0{}'/>", "L99 99L0 50".repeat(million))),
        ("text.svg", format!("<text y='50'>{}</text>", "Wj ".repeat(million))),
        ("as-much-text-as-is-allowed.svg", format!("<text y='50'>{}</text>", "Wj \u{5d0}".repeat(size.many(4000)))),
        ("uses-of-uses.svg", laughs("g", "<use xlink:href='#a@'/>")),
        ("use-of-itself.svg", "<g id='a'><use href='#a'/><use href='#b'/></g><use id='b' href='#a'/>".to_owned()),
        ("patterns-in-patterns.svg", laughs("pattern", "<rect width='9' height='9' fill='url(#a@)'/>") + shown),
        ("masks-in-masks.svg", laughs("mask", "<rect width='9' height='9' mask='url(#a@)'/>") + shown),
        ("clips-in-clips.svg", laughs("clipPath", "<rect width='9' height='9' clip-path='url(#a@)'/>") + shown),
        ("markers-in-markers.svg", laughs("marker", "<path d='M0 0L9 9' marker-end='url(#a@)'/>") + "<path d='M0 0L9 9' marker-end='url(#a0)'/>"),
        ("huge-filter.svg", "<filter id='a0' x='-1e6' y='-1e6' width='1e9' height='1e9'><feGaussianBlur stdDeviation='1e6'/></filter>".to_owned() + shown),
        ("slow-filter.svg", "<filter id='a0'><feTurbulence baseFrequency='.01' numOctaves='2000000000'/></filter>".to_owned() + shown),
        ("filters-in-a-row.svg", format!("<filter id='a0'>{}</filter>{shown}", "<feMorphology operator='dilate' radius='50'/>".repeat(100))),
        ("tile-larger-than-the-world.svg", "<pattern id='a0' width='1' height='1' patternTransform='scale(1e9)'><rect width='1' height='1'/></pattern>".to_owned() + shown),
        ("dashes.svg", "<path d='M0 0L1e6 1e6' stroke='red' stroke-dasharray='1e-4 1e-4'/>".to_owned()),
        ("numbers.svg", "<path d='M1e38 -1e38L-1e38 1e38C1e38 1e38 NaN inf 0 0' stroke='red' stroke-width='1e38' transform='scale(1e30) rotate(1e30)'/>".to_owned()),
        ("drawing-in-a-drawing.svg", "<image width='9' height='9' href='data:image/svg+xml,&lt;svg xmlns=\"http://www.w3.org/2000/svg\"/>'/>".to_owned()),
        ("pictures.svg", format!("<image id='i' width='9' height='9' href='data:image/png;base64,{}'/>{}", "iVBORw0KGgoAAAANSUhEUgAAB9AAAAfQCAAAAAA=", "<use href='#i'/>".repeat(size.many(19_000)))),
        ("styles.svg", format!("<style>{}</style>{}", "*{fill:red;stroke:red}".repeat(size.many(20_000)), "<g/>".repeat(size.many(19_000)))),
    ];
    let drawings = drawings.into_iter().map(|(name, content)| (name, drawing(&content)));
    let files = bombs.into_iter().map(|(name, text)| (name, text.into_bytes())).chain(drawings);
    files.map(|(name, file)| Hostile::new(name, file)).collect()
}
