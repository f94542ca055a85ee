//! What is left on the canvas.

use super::*;

const RED: Pixel = [255, 0, 0, 255];
const BLUE: Pixel = [0, 0, 255, 255];
const NONE: Pixel = [0; 4];

fn part(left: u32, top: u32, width: u32, height: u32) -> Part {
    Part { left, top, size: Size { width, height } }
}

fn paint(canvas: &mut Canvas, part: Part, disposal: Disposal, color: Pixel) -> Vec<Pixel> {
    canvas.begin(part, disposal);
    for y in 0..canvas.rows() {
        canvas.row(y).fill(color);
    }
    canvas.picture().samples.as_chunks().0.to_vec()
}

#[test]
fn a_picture_is_disposed_of_when_the_next_one_comes() {
    let table = [(Disposal::Keep, BLUE), (Disposal::Clear, NONE), (Disposal::Restore, RED)];
    for (disposal, left_behind) in table {
        let mut canvas = Canvas::new(Size { width: 3, height: 1 });
        paint(&mut canvas, part(0, 0, 3, 1), Disposal::Keep, RED);

        assert_eq!(paint(&mut canvas, part(1, 0, 1, 1), disposal, BLUE), [RED, BLUE, RED], "{disposal:?}");
        assert_eq!(paint(&mut canvas, part(0, 0, 1, 1), Disposal::Keep, BLUE), [BLUE, left_behind, RED]);
    }
}

#[test]
fn what_is_beyond_the_canvas_is_cut_off() {
    for disposal in [Disposal::Keep, Disposal::Clear, Disposal::Restore] {
        let mut canvas = Canvas::new(Size { width: 2, height: 2 });

        assert_eq!(paint(&mut canvas, part(1, 1, 60_000, 60_000), disposal, RED), [NONE, NONE, NONE, RED]);
        let left_behind = if disposal == Disposal::Keep { RED } else { NONE };
        for elsewhere in [part(2, 0, 1, 1), part(0, 2, 1, 1), part(u32::MAX, u32::MAX, u32::MAX, u32::MAX)] {
            assert_eq!(paint(&mut canvas, elsewhere, disposal, BLUE), [NONE, NONE, NONE, left_behind]);
        }
    }
}

#[test]
fn next_to_no_time_is_a_tenth_of_a_second() {
    let shown = |ms| as_browsers_show(Duration::from_millis(ms)).as_millis();

    assert_eq!([0, 10, 11, 20, 5000].map(shown), [100, 100, 11, 20, 5000]);
}
