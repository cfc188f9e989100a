//! The instruction sets of x86-64 that compute tiles, and a few columns without.

use super::super::blocks::BLOCK;
use super::super::simd::avx2::Vectors256;
use super::super::simd::avx512::Vectors512;
use super::super::simd::{Products, Simd};
use super::lanes::Lanes;
use super::tile::{self, Format, Tile};
use super::{Direct, Rows, Sums, Tiles, broadcast, direct};

/// Aligns the stack of the function that it is used in. The compiler does so only for a variable that needs it, and
/// otherwise saves registers across two lines of the cache: with AVX2 and 128 columns that took 1.7 times as long.
macro_rules! align_stack {
    () => {
        #[repr(align(64))]
        struct Line;
        let line = Line;
        std::hint::black_box(&line);
    };
}

/// Implements `Tiles` and `Direct` with vectors, given the names of the extensions that they need and for how many
/// columns they do without tiles.
macro_rules! tiles {
    ($vectors:ty, $extensions:literal, $($n:literal)*) => {
        impl Tiles for $vectors {
            const LANES: usize = <$vectors as Simd>::LANES;
            const MOST_COLUMNS: usize = <$vectors as Products>::MOST_COLUMNS;

            #[target_feature(enable = $extensions)]
            unsafe fn round<W: Format>(x: &[f32; BLOCK]) -> W::Column {
                tile::round::<$vectors, W>(x)
            }

            #[target_feature(enable = $extensions)]
            unsafe fn unpack<W: Format>(lanes: Lanes, row: usize, to: &mut Tile) {
                align_stack!();
                // SAFETY: as promised by the caller.
                unsafe { tile::unpack::<$vectors, W>(lanes, row, to) };
            }

            #[target_feature(enable = $extensions)]
            unsafe fn multiply<W: Format>(tile: &Tile, columns: &[W::Column], sums: &mut [Sums]) {
                align_stack!();
                // SAFETY: as promised by the caller.
                unsafe { broadcast::multiply::<$vectors, W>(tile, columns, sums) };
            }
        }

        impl Direct for $vectors {
            const MOST_FEW: usize = [$($n),*].len();

            unsafe fn multiply_few<W: Format>(
                rows: Rows,
                columns: &[W::Column],
                store: impl FnMut(usize, usize, &[f32]),
            ) {
                // A function for each number: in one for all, what the compiler does about one depends on the others.
                #[target_feature(enable = $extensions)]
                unsafe fn multiply<W: Format, const N: usize>(
                    rows: Rows,
                    columns: &[W::Column],
                    store: impl FnMut(usize, usize, &[f32]),
                ) {
                    align_stack!();
                    // SAFETY: as promised by the caller.
                    unsafe { direct::multiply::<$vectors, W, N>(rows, columns, store) };
                }
                // SAFETY: as promised by the caller.
                unsafe {
                    match columns.len() / rows.n_blocks {
                        $($n => multiply::<W, $n>(rows, columns, store),)*
                        n => unreachable!("{n} columns are not few"),
                    }
                }
            }
        }
    };
}

tiles!(Vectors512, "avx512f,avx512bw,avx512dq,avx512vnni,f16c,fma", 1 2 3 4 5 6 7 8 9 10);
tiles!(Vectors256<true, true>, "avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,f16c,fma", 1);
tiles!(Vectors256<true>, "avx2,avxvnni,f16c,fma", 1 2 3 4);
tiles!(Vectors256<false>, "avx2,f16c,fma", 1 2 3 4 5 6 7 8);
