// The forward walk with products in bfloat16, compiled for processors that have an instruction for them.
#include "bfloat16.h"

namespace LONGSPAN_ISA {

void forward_rounded(longspan::Cell cell, const longspan::Forward<float>& problem);
void forward_rounded(longspan::Cell cell, const longspan::Forward<float>& problem) {
  switch (cell) {
    case longspan::Cell::lstm: return forward<float, Lstm, Rounded>(problem);
    case longspan::Cell::gru: return forward<float, Gru, Rounded>(problem);
    case longspan::Cell::rnn_tanh: return forward<float, RnnTanh, Rounded>(problem);
    case longspan::Cell::rnn_relu: return forward<float, RnnRelu, Rounded>(problem);
  }
}

}  // namespace LONGSPAN_ISA
