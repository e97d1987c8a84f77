//! Plain loops, compiled for the widest vectors of the processor that runs them.

/// Defines a function whose loops are compiled once for each vector width and picked at run time.
///
/// The body becomes a method that is always inlined into code with the processor's features
/// enabled; a closure would not do, as its call may stay outside of that code.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<'a>($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name<'a>($($arg: $type),*) {
            struct Work<'a> {
                $($arg: $type,)*
                lifetime: std::marker::PhantomData<&'a ()>,
            }
            impl<'a> pulp::WithSimd for Work<'a> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _simd: S) {
                    let Work { $($arg,)* .. } = self;
                    $body
                }
            }
            let lifetime = std::marker::PhantomData;
            pulp::Arch::new().dispatch(Work { $($arg,)* lifetime });
        }
    };
}

pub(super) use vectorized;
