//! What needs the real encoders of WebP and AVIF, from the request to the stored file.

use heliograph_types::ThumbnailVariant;

use super::*;

/// An animated PNG with as many pictures as colors.
fn moving(side: u32, colors: &[[u8; 3]]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(u32::try_from(colors.len()).unwrap(), 0).unwrap();
    encoder.set_frame_delay(1, 10).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for color in colors {
        writer.write_image_data(&color.repeat((side * side) as usize)).unwrap();
    }
    writer.finish().unwrap();
    file
}

async fn render(room: &Room, id: &str, variant: &str) -> (String, Header) {
    let ThumbnailVariant { spec, format } = variant.parse().unwrap();
    let thumbnail = room.contract.render(Render { mxc: mxc(id), spec, format }).await.unwrap();
    (thumbnail.content_type.to_string(), Header::read(&thumbnail.image, &ANY).unwrap())
}

#[actix::test]
async fn a_still_picture_comes_in_each_format() {
    let room = open(|_| {}, None);
    room.add("sun", "image/jpeg", &sample_picture()).await;

    for (variant, content_type) in
        [("320x240-scale", "image/jpeg"), ("320x240-scale.webp", "image/webp"), ("320x240-scale.avif", "image/avif")]
    {
        // Once made, once stored.
        for _ in 0..2 {
            let (found, header) = render(&room, "sun", variant).await;
            assert_eq!((found.as_str(), header.size), (content_type, Size { width: 320, height: 240 }), "{variant}");
        }
    }
    assert_eq!(room.stored_thumbnails().await, 3);
}

#[actix::test]
async fn what_moves_goes_on_moving_for_who_asks_unless_it_is_too_long() {
    let room = open(|config| config.max_frames = std::num::NonZeroU32::new(3).unwrap(), None);
    room.add("short", "image/png", &moving(200, &[[255, 0, 0], [0, 255, 0], [0, 0, 255]])).await;
    room.add("long", "image/png", &moving(200, &[[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]])).await;

    for (id, variant, frames) in [
        ("short", "96x96-crop", 1),
        ("short", "96x96-crop-animated", 3),
        ("short", "96x96-crop-animated.avif", 3),
        ("long", "96x96-crop-animated", 1),
    ] {
        let (content_type, header) = render(&room, id, variant).await;

        assert_eq!(content_type == "image/webp", frames > 1, "{id} {variant}: {content_type}");
        assert_eq!((header.size, header.frames), (Size { width: 96, height: 96 }, frames), "{id} {variant}");
    }
}
