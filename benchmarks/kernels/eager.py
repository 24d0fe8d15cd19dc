"""The variants of the LSTM as one writes them in torch: a loop over the steps, in Python."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear


class Masks(NamedTuple):
    """What chance decides: on h' for a whole sequence (B, P), and what zoneout keeps of h and c at each step."""

    recurrent: Tensor | None = None
    zone_h: Tensor | None = None  # (T, B, P)
    zone_c: Tensor | None = None  # (T, B, H)


class EagerLSTM(nn.Module):
    """One layer with the weights, by name, of a `longspan.nn.LSTM`, in any type.

    Its equations are those of the papers: Gers, Schraudolph & Schmidhuber 2002 (peepholes), Greff et al. 2017 (coupled
    gates), Ba, Kiros & Hinton 2016 (normalisation), Sak, Senior & Beaufays 2014 (projection), Krueger et al. 2016
    (zoneout), Gal & Ghahramani 2016 (recurrent dropout).
    """

    def __init__(
        self,
        weights: dict[str, Tensor],
        *,
        coupled: bool = False,
        zoneout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, weight in weights.items():
            self.register_parameter(name, nn.Parameter(weight.detach().clone()))
        self.names = set(weights)
        self.coupled, self.zoneout, self.recurrent_dropout = coupled, zoneout, recurrent_dropout

    def weight(self, name: str) -> Tensor | None:
        """Return a weight, if the variant has it."""
        return getattr(self, f"{name}_l0") if f"{name}_l0" in self.names else None

    def forward(self, x: Tensor, masks: Masks | None = None) -> tuple[Tensor, None]:
        """Run over a dense batch (T, B, I) from a state of zeros; draw masks unless they are given."""
        steps, batch = x.shape[:2]
        hidden = self.weight_hh_l0.shape[0] // (3 if self.coupled else 4)
        h, c = x.new_zeros(batch, self.weight_hh_l0.shape[1]), x.new_zeros(batch, hidden)
        masks = self.draw(steps, h, c) if masks is None else masks
        bias, gain_x, gain_h = (
            self.bias_ih_l0 + self.bias_hh_l0,
            self.weight("weight_ln_ih"),
            self.weight("weight_ln_hh"),
        )
        if gain_x is None:
            projected = linear(x, self.weight_ih_l0, bias)
        else:
            projected = layer_norm(linear(x, self.weight_ih_l0), gain_x.shape, gain_x, bias)
        output = []
        for step, a in enumerate(projected.unbind(0)):
            from_h = linear(h if masks.recurrent is None else h * masks.recurrent, self.weight_hh_l0)
            a = a + (from_h if gain_h is None else layer_norm(from_h, gain_h.shape, gain_h))
            new_h, new_c = self.cell(a, c)
            if masks.zone_h is not None:
                new_h = torch.lerp(new_h, h, masks.zone_h[step])
                new_c = torch.lerp(new_c, c, masks.zone_c[step])
            h, c = new_h, new_c
            output.append(h)
        return torch.stack(output), None

    def cell(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new h and c, before zoneout."""
        peep, projection, gain = self.weight("weight_ch"), self.weight("weight_hr"), self.weight("weight_ln_c")
        blocks = list(a.split(c.shape[1], dim=1))
        peeps = None if peep is None else list(peep.split(c.shape[1]))
        a_o, a_g, a_f = blocks.pop(), blocks.pop(), blocks.pop()
        p_o, p_f = (None, None) if peeps is None else (peeps.pop(), peeps.pop())
        f = torch.sigmoid(a_f if p_f is None else a_f + p_f * c)
        i = 1 - f if self.coupled else torch.sigmoid(blocks[0] if peeps is None else blocks[0] + peeps[0] * c)
        c = f * c + i * torch.tanh(a_g)
        o = torch.sigmoid(a_o if p_o is None else a_o + p_o * c)
        h = o * torch.tanh(c if gain is None else layer_norm(c, gain.shape, gain, self.weight("bias_ln_c")))
        return (h if projection is None else linear(h, projection)), c

    def draw(self, steps: int, h: Tensor, c: Tensor) -> Masks:
        """Draw what chance decides."""
        masks = Masks()
        if self.recurrent_dropout:
            masks = masks._replace(recurrent=nn.functional.dropout(torch.ones_like(h), self.recurrent_dropout))
        if self.zoneout:
            zones = (part.new_empty(steps, *part.shape).bernoulli_(self.zoneout) for part in (h, c))
            masks = masks._replace(**dict(zip(("zone_h", "zone_c"), zones, strict=True)))
        return masks
