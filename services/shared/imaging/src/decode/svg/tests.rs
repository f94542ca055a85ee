use super::*;
use crate::testing::ANY;

const XLINK: &str = "http://www.w3.org/1999/xlink";

/// A drawing of 100 times 100.
fn drawing(content: &str) -> Vec<u8> {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"{XLINK}\" width=\"100\" height=\"100\">{content}</svg>"
    )
    .into_bytes()
}

fn drawn(file: &[u8], size: Size) -> Result<Picture, RenderError> {
    let header = Header::read(file, &ANY)?;
    match header.decode(&file.to_vec(), size)?.pixels {
        super::super::Pixels::Picture(picture) => Ok(picture),
        super::super::Pixels::Planes { .. } => panic!("planes"),
    }
}

const SMALL: Size = Size { width: 20, height: 20 };

/// The color in the middle.
fn middle(content: &str) -> [u8; 4] {
    let picture = drawn(&drawing(content), SMALL).unwrap();
    picture.samples.as_chunks().0[10 * 20 + 10]
}

fn refusal(content: &str) -> String {
    drawn(&drawing(content), SMALL).unwrap_err().to_string()
}

fn size_of(file: &str) -> Size {
    Header::read(file.as_bytes(), &ANY).unwrap().size
}

const RED: [u8; 4] = [255, 0, 0, 255];
const NOTHING: [u8; 4] = [0; 4];

// === what it is ===

#[test]
fn a_drawing_is_known_by_its_first_element() {
    let yes = [
        "<svg/>",
        "<svg xmlns='http://www.w3.org/2000/svg'>",
        "\u{feff}<svg>",
        " \n<?xml version='1.0'?>\n<!-- by hand, > and all --><svg\n>",
        "<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd\"><svg>",
        "<svg:svg xmlns:svg='http://www.w3.org/2000/svg'>",
    ];
    let no =
        ["", "<", "<svgx>", "<html><svg/></html>", "svg", "<!-- <svg> -->", "<!DOCTYPE html><p>", "\x1f\u{8b}<svg>"];
    for text in yes {
        assert_eq!(Format::sniff(text.as_bytes()), Some(Format::Svg), "{text}");
    }
    for text in no {
        assert_eq!(Format::sniff(text.as_bytes()), None, "{text}");
    }
    let late = format!("<!--{}--><svg/>", "x".repeat(5000));
    assert_eq!(Format::sniff(late.as_bytes()), None, "only the beginning is looked at");
}

#[test]
fn drawings_are_only_read_where_the_rules_allow_it() {
    let file = drawing("");
    assert_eq!(Header::read(&file, &Rules { svg: false, ..ANY }), Err(RenderError::UnknownFormat));
    assert_eq!(Header::read(&file, &ANY).unwrap(), Header::still(Format::Svg, Size { width: 100, height: 100 }, 4));
}

#[test]
fn a_drawing_is_as_large_as_it_says() {
    let size = |width, height| Size { width, height };
    let table = [
        ("<svg xmlns='http://www.w3.org/2000/svg' width='30' height='40.4'/>", size(30, 40)),
        ("<svg xmlns='http://www.w3.org/2000/svg' width='1in' height='2.54cm'/>", size(96, 96)),
        ("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 7 9'/>", size(7, 9)),
        ("<svg xmlns='http://www.w3.org/2000/svg' viewBox='5 5 20 10' width='200'/>", size(200, 100)),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", size(300, 150)),
        ("<svg xmlns='http://www.w3.org/2000/svg' width='0.1' height='0.1'/>", size(1, 1)),
        ("<svg xmlns='http://www.w3.org/2000/svg' width='80000' height='20000'/>", size(4096, 1024)),
        ("<svg xmlns='http://www.w3.org/2000/svg' width='9&quot;' height='7' viewBox='0 0 9 7'/>", size(9, 7)),
    ];
    for (file, expected) in table {
        assert_eq!(size_of(file), expected, "{file}");
    }
    for (width, height) in [("0", "10"), ("-5", "10"), ("10", "0")] {
        let file = format!("<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'/>");
        assert!(Header::read(file.as_bytes(), &ANY).is_err(), "{width} times {height}");
    }
}

// === what it shows ===

#[test]
fn it_is_drawn_as_large_as_it_is_needed() {
    let file = drawing("<rect width='50' height='100' fill='red'/>");
    for size in [SMALL, Size { width: 64, height: 64 }, Size { width: 10, height: 40 }] {
        let picture = drawn(&file, size).unwrap();

        assert_eq!((picture.size, picture.layout), (size, Layout::Rgba));
        for (at, pixel) in picture.samples.as_chunks().0.iter().enumerate() {
            let is_left = at % (size.width as usize) < size.width as usize / 2;
            assert_eq!(*pixel, if is_left { RED } else { NOTHING }, "{at} of {size:?}");
        }
    }
}

#[test]
fn what_is_half_transparent_keeps_its_color() {
    assert_eq!(middle("<rect width='100' height='100' fill='red' opacity='0.5'/>"), [255, 0, 0, 128]);
}

#[test]
fn text_is_drawn_in_our_font_whatever_it_asks_for() {
    let inked = |style: &str| {
        let file = drawing(&format!("<text x='5' y='60' font-size='40' {style}>Hxя</text>"));
        let picture = drawn(&file, Size { width: 100, height: 100 }).unwrap();
        picture.samples.as_chunks::<4>().0.iter().filter(|pixel| pixel[3] > 128).count()
    };
    let plain = inked("");
    assert!((300..3000).contains(&plain), "{plain} pixels");
    assert_eq!(inked("font-family='Courier New, monospace'"), plain);
    assert_eq!(inked("font-family='../../etc/passwd'"), plain);
    assert!(inked("font-weight='bold'") > plain + plain / 5);
}

#[test]
fn a_picture_in_a_drawing_is_shown() {
    let png = crate::testing::png_file(2, 2, png::ColorType::Rgb, png::BitDepth::Eight, &[255, 0, 0].repeat(4));
    let content = |kind: &str, file: &[u8]| {
        format!("<image width='100' height='100' xlink:href='data:{kind};base64,{}'/>", base64(file))
    };
    assert_eq!(middle(&content("image/png", &png)), RED);
    assert_eq!(middle(&content("image/jpeg", &png)), RED, "what it is said to be does not count");
    let drawn = drawing("<rect width='100' height='100' fill='red'/>");
    assert_eq!(middle(&content("image/svg+xml", &drawn)), NOTHING, "no drawing in a drawing");
    let huge = crate::testing::png_header(40_000, 40_000);
    assert_eq!(middle(&content("image/png", &huge)), NOTHING);
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        let letters = [18, 12, 6, 0].map(|shift| char::from(LETTERS[bits >> shift & 63]));
        letters.into_iter().take(three.len() + 1).chain(std::iter::repeat_n('=', 3 - three.len()))
    };
    bytes.chunks(3).flat_map(group).collect()
}

// === what it must not do ===

/// So many of something.
fn each(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

#[test]
fn nothing_outside_the_file_is_looked_at() {
    let beside = std::env::temp_dir().join(format!("heliograph-svg-{}.png", std::process::id()));
    let png = crate::testing::png_file(2, 2, png::ColorType::Rgb, png::BitDepth::Eight, &[255, 0, 0].repeat(4));
    std::fs::write(&beside, png).unwrap();
    let path = beside.to_str().unwrap();
    for address in [path, &format!("file://{path}"), "http://127.0.0.1:9/x.png", "//example.com/x.png", "x.svg#a"] {
        for element in ["image width='100' height='100'", "use", "feImage"] {
            assert_eq!(middle(&format!("<{element} xlink:href='{address}'/>")), NOTHING, "{element} {address}");
            assert_eq!(middle(&format!("<{element} href='{address}'/>")), NOTHING, "{element} {address}");
        }
        let style = format!(
            "<style>@import url({address}); rect {{ fill: url({address}) }}</style><rect width='9' height='9'/>"
        );
        assert_eq!(middle(&style), NOTHING);
    }
    std::fs::remove_file(beside).unwrap();
}

#[test]
fn scripts_and_foreign_elements_are_ignored() {
    let content = "<script>alert(1)</script><foreignObject width='100' height='100'><body xmlns='http://www.w3.org/1999/xhtml'>\
                   <p>x</p></body></foreignObject><rect width='100' height='100' fill='red' onload='alert(1)'/>";
    assert_eq!(middle(content), RED);
}

#[test]
fn a_document_type_may_only_have_a_name() {
    let file = |before: &str, text: &str| {
        format!("{before}<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><text>{text}</text></svg>")
    };
    let dtd = "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd'>";
    assert!(drawn(file(dtd, "x").as_bytes(), Size { width: 9, height: 9 }).is_ok());
    for declared in [
        "<!DOCTYPE svg [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;'>]>",
        "<!DOCTYPE svg SYSTEM 'a>b' [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>",
        "<!DOCTYPE svg [ ]>",
    ] {
        assert!(Header::read(file(declared, "&a;").as_bytes(), &ANY).is_err(), "{declared}");
    }
}

#[test]
fn drawings_with_too_much_in_them_are_refused() {
    let deep = |depth: usize| format!("{}<rect/>{}", "<g>".repeat(depth), "</g>".repeat(depth));
    assert_eq!(middle(&deep(60)), NOTHING);
    assert!(refusal(&deep(64)).contains("too many elements"));
    assert!(refusal(&deep(100_000)).contains("too many elements"));
    assert!(refusal(&"<g/>".repeat(30_000)).contains("refers to too much"));
    assert!(refusal(&"<g/>".repeat(200_000)).contains("too many elements"));
    assert!(refusal(&format!("<g {}/>", each(300, |number| format!(" a{number}=''")))).contains("too many"));
    assert!(refusal(&format!("<text>{}</text>", "x".repeat(30_000))).contains("refers to too much"));
    assert!(refusal(&" ".repeat(5 << 20)).contains("too long"));
    let spaces = each(3000, |number| format!("<g xmlns:a{number}='x'/>"));
    assert!(refusal(&spaces).contains("too many"));
    let rules = format!("<style>{}</style>{}", ".a{fill:red}".repeat(4000), "<g/>".repeat(2000));
    assert!(refusal(&rules).contains("refers to too much"));
}

/// Ten times ten times ten, by what can refer to others.
fn laughs(element: &str, reference: &str) -> String {
    each(10, |level| {
        let next = reference.replace('@', &(level + 1).to_string());
        format!("<{element} id='a{level}'>{}</{element}>", next.repeat(10))
    })
}

#[test]
fn references_are_followed_before_they_are_drawn() {
    let users = [
        laughs("g", "<use xlink:href='#a@'/>"),
        laughs("g", "<use href='#a@'/>"),
        laughs("symbol", "<use href='#a@'/>") + "<use href='#a0'/>",
        laughs("pattern", "<rect width='9' height='9' fill='url(#a@)'/>"),
        laughs("pattern", "<rect width='9' height='9' style='fill:/*;*/url( \"#a@\")'/>"),
        laughs("mask", "<rect width='9' height='9' mask='url(#a@)'/>"),
        laughs("clipPath", "<rect width='9' height='9' clip-path='url(#a@)'/>"),
        laughs("marker", "<path d='M0 0L9 9' marker-start='url(#a@)'/>"),
        laughs("marker", "<path d='M0 0L9 9L1 1' style='marker:url(#a@)'/>"),
        laughs("filter", "<feImage href='#a@'/>"),
    ];
    for content in users {
        let shown = "<rect width='50' height='50' fill='url(#a0)' mask='url(#a0)' clip-path='url(#a0)' filter='url(#a0)'/>\
                     <path d='M0 0L5 5' marker-start='url(#a0)'/>";
        assert!(refusal(&(content.clone() + shown)).contains("refers to too much"), "{content}");
    }
}

#[test]
fn style_sheets_refer_to_elements_too() {
    let rules = |selector: &dyn Fn(usize) -> String| -> String {
        each(10, |level| format!("{}{{fill:url(#a{})}}", selector(level), level + 1))
    };
    let patterns = each(10, |level| {
        let rect = format!("<rect class='c{level}' width='9' height='9'/>");
        format!("<pattern id='a{level}'>{}</pattern>", rect.repeat(10))
    });
    for selector in [
        &(|level| format!(".c{level}")) as &dyn Fn(usize) -> String,
        &|level| format!("rect.c{level}"),
        &|level| format!("pattern .c{level}"),
        &|level| format!("/* }} .x */ .c{level}"),
        &|level| format!("rect[class='c{level}']"),
        &|level| format!(".x /*.y*/, .c{level}"),
    ] {
        let content =
            format!("<style>{}</style>{patterns}<rect width='9' height='9' fill='url(#a0)'/>", rules(selector));
        assert!(refusal(&content).contains("refers to too much"), "{}", rules(selector));
    }
}

#[test]
fn what_is_inherited_is_followed_too() {
    let nested = each(10, |level| {
        let rects = "<rect width='9' height='9'/>".repeat(10);
        format!("<g fill='url(#a{})'><pattern id='a{level}'>{rects}</pattern></g>", level + 1)
    });
    assert!(refusal(&format!("{nested}<rect width='9' height='9' fill='url(#a0)'/>")).contains("refers to too much"));
    let points = format!(
        "<marker id='m'>{}</marker><g marker-mid='url(#m)'><path d='M0 0{}'/></g>",
        "<g/>".repeat(99),
        "L1 1".repeat(9000)
    );
    assert!(refusal(&points).contains("refers to too much"));
}

#[test]
fn what_leads_back_to_itself_is_refused() {
    for content in [
        "<g id='a'><use href='#a'/></g>",
        "<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/></g>",
        "<pattern id='a'><rect width='9' height='9' fill='url(#a)'/></pattern><rect width='9' height='9' fill='url(#a)'/>",
        "<mask id='a'><rect width='9' height='9' mask='url(#a)'/></mask><rect width='9' height='9' mask='url(#a)'/>",
    ] {
        assert!(refusal(content).contains("refers to too much"), "{content}");
    }
}

#[test]
fn ordinary_drawings_are_not_too_much() {
    let shapes = each(3000, |at| format!("<circle class='b' cx='{}' cy='{}' r='3'/>", at % 100, at / 30));
    let content = format!(
        "<style>.a{{clip-path:url(#c)}} .b{{fill:url(#g)}}</style><defs><clipPath id='c'><rect width='90' height='90'/></clipPath>\
         <linearGradient id='g'><stop offset='0' stop-color='red'/><stop offset='1' stop-color='red'/></linearGradient>\
         <filter id='f'><feGaussianBlur stdDeviation='2'/></filter><marker id='m'><path d='M0 0L5 5'/></marker></defs>\
         <g class='a' filter='url(#f)'>{shapes}</g><path d='M0 0L50 50L99 0' stroke='red' marker-end='url(#m)'/>"
    );
    let [red, green, blue, alpha] = middle(&content);
    assert!(([red, green, blue], alpha > 250) == ([255, 0, 0], true), "{alpha}");
}

#[test]
fn what_takes_too_long_to_paint_is_refused() {
    let filter = |primitive: &str| {
        format!("<filter id='f'>{primitive}</filter><rect width='100' height='100' filter='url(#f)'/>")
    };
    let slow = [
        filter("<feTurbulence baseFrequency='0.1' numOctaves='900000'/>"),
        filter("<feMorphology operator='dilate' radius='1000'/>").repeat(20),
        filter(&"<feGaussianBlur stdDeviation='90'/>".repeat(5000)),
        filter(&format!("<feConvolveMatrix order='500' kernelMatrix='{}'/>", "1 ".repeat(250_000))),
        "<path d='M0 0L90000 90000' stroke='red' stroke-dasharray='0.001'/>".to_owned(),
        format!("<path d='M0 0{}' fill='red' stroke='red'/>", "V100V0".repeat(300_000)),
    ];
    for content in slow {
        let refusal = drawn(&drawing(&content), Size { width: 100, height: 100 }).unwrap_err().to_string();
        assert!(refusal.contains("too long") || refusal.contains("layers"), "{refusal}: {}", &content[..90]);
    }
}

#[test]
fn layers_take_no_more_memory_than_a_drawing_may_have() {
    let file =
        drawing(&format!("{}<rect width='100' height='100'/>{}", "<g opacity='0.5'>".repeat(50), "</g>".repeat(50)));
    assert!(drawn(&file, SMALL).is_ok());
    let large = "<svg xmlns='http://www.w3.org/2000/svg' width='2000' height='2000'>".to_owned();
    let large =
        large + &"<g opacity='0.5'>".repeat(50) + "<rect width='2000' height='2000'/>" + &"</g>".repeat(50) + "</svg>";
    assert!(drawn(large.as_bytes(), Size { width: 2000, height: 2000 }).unwrap_err().to_string().contains("layers"));
    assert!(drawn(large.as_bytes(), Size { width: 100, height: 100 }).is_ok());
    let tile = "<pattern id='p' width='1' height='1' patternTransform='scale(900)' viewBox='0 0 1 1'><rect width='1' height='1'/></pattern>\
                <rect width='100' height='100' fill='url(#p)'/>";
    assert!(refusal(tile).contains("too long to paint"), "a tile that is larger than the canvas");
}
