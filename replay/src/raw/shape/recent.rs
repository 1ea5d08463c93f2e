//! Which shape of a segment a record has.

use super::{Room, Shape, Values};

/// Shapes of a segment at most: where records are all different, they are not looked for for ever.
const SHAPES_MAX: usize = 64;

/// Of these, the last that fitted are tried; as soon as there are more, gaps are looked for.
const SHAPES_TRIED: usize = 4;

/// Numbers of shapes, the one that fitted last first.
#[derive(Default)]
pub struct Recent(Vec<usize>);

impl Recent {
    /// The number in `shapes` of the one that gives `record` back, which may be new; what stands in
    /// its gaps is left in `room`.
    pub fn fit(
        &mut self,
        shapes: &mut Vec<Shape>,
        record: &[u8],
        values: &Values<'_>,
        room: &mut Room,
    ) -> Option<usize> {
        let mut tried = self.0.iter().take(SHAPES_TRIED);
        if let Some(at) = tried.position(|number| shapes[*number].fits(record, values, room)) {
            self.0[..=at].rotate_right(1);
            return Some(self.0[0]);
        }
        if shapes.len() >= SHAPES_MAX {
            return None;
        }
        let mut shape = Shape::of(record, values)?;
        if shapes.len() >= SHAPES_TRIED {
            let alike = self.0.iter().find_map(|number| shapes[*number].with_gaps(&shape));
            shape = alike.filter(|alike| alike.fits(record, values, room)).unwrap_or(shape);
        }
        if !shape.fits(record, values, room) {
            return None;
        }
        let number = shapes.iter().position(|known| *known == shape).unwrap_or_else(|| {
            shapes.push(shape);
            shapes.len() - 1
        });
        self.0.retain(|known| *known != number);
        self.0.insert(0, number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes of a thousand records, each of which has one; `rest` is what ends the n-th.
    fn shapes(rest: impl Fn(u64) -> String) -> usize {
        let (mut shapes, mut recent, mut room) = (Vec::new(), Recent::default(), Room::default());
        for n in 0..1000 {
            let record = format!(r#"{{"ad_id":"a1","click_timestamp":{n}{}}}"#, rest(n));
            let values = Values { ad_id: &record[10..12], time: n, ..Values::default() };
            let fitted = recent.fit(&mut shapes, record.as_bytes(), &values, &mut room);
            let mut back = Vec::new();
            shapes[fitted.unwrap()].write(&values, &room.gaps, &mut back);
            assert_eq!(String::from_utf8(back).unwrap(), record);
        }
        shapes.len()
    }

    #[test]
    fn records_that_differ_in_few_ways_have_a_shape_for_each() {
        assert_eq!(shapes(|_| String::new()), 1);
        assert_eq!(shapes(|n| format!(r#","v":{}"#, n % 4)), 4);
    }

    #[test]
    fn records_that_all_differ_share_one_with_a_gap() {
        assert_eq!(shapes(|n| format!(r#","session":"{}""#, n * n)), SHAPES_TRIED + 1);
        assert_eq!(
            shapes(|n| if n % 2 == 0 { String::new() } else { format!(r#","n":[{n}]"#) }),
            SHAPES_TRIED + 1
        );
    }
}
