// Four at once: compilers make no vectors of a loop with a root in it, for it may set errno, nor, without being told to, of others.
#include <string.h>
#ifdef __x86_64__
#include <xmmintrin.h>
typedef __m128 four;
static inline four root(four v) { return _mm_sqrt_ps(v); }
#else
#include <arm_neon.h>
typedef float32x4_t four;
static inline four root(four v) { return vsqrtq_f32(v); }
#endif

static inline four bent(four v, float share) {
	v /= root(1 + v * v * share);
	return (four)((v == v) & (__typeof__(v == v))v); // what is no number becomes 0
}

static void bend(const float *from, float *to, int n, float level, float gain, float most) {
	const float share = 1 / (most * most);
	four v = {0};
	for (; n >= 4; n -= 4, from += 4, to += 4) {
		memcpy(&v, from, sizeof v);
		v = bent((v - level) * gain, share);
		memcpy(to, &v, sizeof v);
	}
	memcpy(&v, from, n * sizeof *from);
	v = bent((v - level) * gain, share);
	memcpy(to, &v, n * sizeof *to);
}

static int beyond(const float *v, int n, float least, float most) {
	typedef int lanes __attribute__((vector_size(16)));
	four at;
	lanes found = {0};
	for (; n >= 4; n -= 4, v += 4) {
		memcpy(&at, v, sizeof at);
		found |= (lanes)((at < least) | (at > most));
	}
	int any = found[0] | found[1] | found[2] | found[3];
	for (; n > 0; n--, v++) any |= *v < least || *v > most;
	return any;
}
