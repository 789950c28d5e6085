//! Distances on the globe, taken for a sphere.

use std::ops::RangeInclusive;

/// Mean radius of the Earth in kilometres.
const EARTH: f64 = 6_371.008_8;

/// A point: degrees north, degrees east.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Point {
    /// The shortest way along the surface, in kilometres (haversine).
    #[must_use]
    pub fn distance(self, other: Self) -> f64 {
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_north = ((to - from) / 2.0).sin();
        let half_east = ((other.longitude - self.longitude).to_radians() / 2.0).sin();
        let chord = half_north.powi(2) + from.cos() * to.cos() * half_east.powi(2);
        2.0 * EARTH * chord.sqrt().min(1.0).asin()
    }

    /// Latitudes and longitudes outside of which nothing is within `radius` kilometres.
    #[must_use]
    pub fn surroundings(self, radius: f64) -> (RangeInclusive<f64>, RangeInclusive<f64>) {
        let angle = radius / EARTH;
        let north = angle.to_degrees();
        let latitudes = self.latitude - north..=self.latitude + north;
        let around = -180.0..=180.0;
        // With a pole inside, every longitude is near.
        if *latitudes.start() <= -90.0 || *latitudes.end() >= 90.0 {
            return (latitudes, around);
        }
        let east = (angle.sin() / self.latitude.to_radians().cos()).asin().to_degrees();
        let longitudes = self.longitude - east..=self.longitude + east;
        // Across the date line the range would be two; all longitudes hold both.
        let split = *longitudes.start() < -180.0 || *longitudes.end() > 180.0;
        (latitudes, if split { around } else { longitudes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRANKFURT: Point = Point { latitude: 50.0333, longitude: 8.5706 };
    const HEATHROW: Point = Point { latitude: 51.4775, longitude: -0.4614 };

    #[test]
    fn frankfurt_is_655_kilometres_from_heathrow_both_ways() {
        let distance = FRANKFURT.distance(HEATHROW);
        assert!((654.0..656.0).contains(&distance), "{distance}");
        assert!((HEATHROW.distance(FRANKFURT) - distance).abs() < 1e-9);
        assert!(FRANKFURT.distance(FRANKFURT).abs() < 1e-9);
    }

    #[test]
    fn the_other_side_of_the_globe_is_half_its_girth_away() {
        let distance =
            Point { latitude: 0.0, longitude: 0.0 }.distance(Point { latitude: 0.0, longitude: 180.0 });
        assert!((distance - std::f64::consts::PI * EARTH).abs() < 1e-6, "{distance}");
    }

    #[test]
    fn whatever_is_within_the_radius_is_within_the_surroundings() {
        let centers =
            [(50.0, 8.5), (0.0, 179.9), (-17.8, -179.8), (89.5, 10.0), (-90.0, 0.0), (71.3, -156.8)];
        for (latitude, longitude) in centers {
            let center = Point { latitude, longitude };
            let (latitudes, longitudes) = center.surroundings(300.0);
            let steps = (-900..=900).step_by(5).flat_map(|north| {
                (-1800..=1800).step_by(10).map(move |east| Point {
                    latitude: f64::from(north) / 10.0,
                    longitude: f64::from(east) / 10.0,
                })
            });
            for point in steps.filter(|point| center.distance(*point) <= 300.0) {
                assert!(latitudes.contains(&point.latitude), "{center:?} {point:?}");
                assert!(longitudes.contains(&point.longitude), "{center:?} {point:?}");
            }
        }
    }
}
