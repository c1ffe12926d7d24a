From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

Definition Mat := nat -> nat -> R.
(** F has the gradient G at U, a d x d matrix: in every direction D its derivative is the sum of G_ij D_ij. *)
Definition gradient d (F : Mat -> R) (U G : Mat) := forall D : Mat,
  is_derive (fun t => F (fun i j => U i j + t * D i j)) 0 (Sum d (fun i => Sum d (fun j => G i j * D i j))).
(** F reads nothing but the entries. *)
Definition extensional (F : Mat -> R) := forall U V, (forall i j, U i j = V i j) -> F U = F V.
(** W_Q W_K'. *)
Definition prodT dk (WQ WK : Mat) : Mat := fun i j => Sum dk (fun k => WQ i k * WK j k).
Definition transpose (U : Mat) : Mat := fun i j => U j i.
(** W with x as entry (a, b). *)
Definition setm (W : Mat) a b x : Mat := fun i j => if (Nat.eqb i a && Nat.eqb j b)%bool then x else W i j.
(** claim u-ratio. The gradient of W_Q is G W_K, entry by entry. *)
Theorem gradient_WQ d dk F WQ WK G a b : extensional F ->
  (a < d)%nat -> (b < dk)%nat -> gradient d F (prodT dk WQ WK) G ->
  is_derive (fun x => F (prodT dk (setm WQ a b x) WK)) (WQ a b) (Sum d (fun j => G a j * WK j b)).
Proof.
  intros Fe Ha Hb Gr. 
  pose proof (Gr (fun i j => if Nat.eqb i a then WK j b else 0)) as D. cbv beta in D.
  replace (Sum d (fun i => Sum d (fun j => G i j * (if Nat.eqb i a then WK j b else 0)))) with (Sum d (fun j => G a j * WK j b)) in D.
  2:{ rewrite <- (Sum_delta d a (fun i => Sum d (fun j => G i j * WK j b)) Ha). apply Sum_ext. intros i _.
      destruct (Nat.eqb i a); [reflexivity|symmetry; apply Sum_0; intros; ring]. }
  replace 0 with (WQ a b - WQ a b) in D at 1 by ring.
  assert (L : is_derive (fun x => x - WQ a b) (WQ a b) 1) by (auto_derive; [trivial|ring]).
  pose proof (is_derive_comp (fun t => F (fun i j => prodT dk WQ WK i j + t * (if Nat.eqb i a then WK j b else 0))) (fun x => x - WQ a b) _ _ _ D L) as Q.
  match type of Q with is_derive _ _ ?v => replace v with (Sum d (fun j => G a j * WK j b)) in Q
    by (unfold scal; simpl; unfold mult; simpl; ring) end.
  revert Q. apply is_derive_ext. intro x. apply Fe. intros i j. unfold prodT, setm.
  destruct (Nat.eqb_spec i a).
  - subst. rewrite <- (Sum_delta dk b (fun k => (x - WQ a b) * WK j k) Hb), <- Sum_plus. apply Sum_ext. intros k Hk.
    destruct (Nat.eqb_spec k b); subst; simpl; ring.
  - rewrite Rmult_0_r, Rplus_0_r. reflexivity.
Qed.
Lemma gradient_transpose d F U G : extensional F -> gradient d F U G ->
  gradient d (fun V => F (transpose V)) (transpose U) (transpose G).
Proof.
  intros Fe Gr D. pose proof (Gr (transpose D)) as Q. rewrite Sum_swap.
  eapply is_derive_ext; [|exact Q]. intro t. apply Fe. intros i j. reflexivity.
Qed.
(** claim u-ratio. The gradient of W_K is G' W_Q. *)
Theorem gradient_WK d dk F WQ WK G a b : extensional F ->
  (a < d)%nat -> (b < dk)%nat -> gradient d F (prodT dk WQ WK) G ->
  is_derive (fun x => F (prodT dk WQ (setm WK a b x))) (WK a b) (Sum d (fun i => G i a * WQ i b)).
Proof.
  intros Fe Ha Hb Gr.
  assert (S : forall V W i j, prodT dk V W i j = transpose (prodT dk W V) i j)
    by (intros; unfold prodT, transpose; apply Sum_ext; intros; ring).
  assert (Fe' : extensional (fun V => F (transpose V))).
  { intros U V H. apply Fe. intros. unfold transpose. apply H. }
  assert (Gr' : gradient d (fun V => F (transpose V)) (prodT dk WK WQ) (transpose G)).
  { pose proof (gradient_transpose d F _ G Fe Gr) as Q. intro D. eapply is_derive_ext; [|exact (Q D)].
    intro t. apply Fe. intros i j. cbv beta. unfold transpose at 1 3. rewrite S. reflexivity. }
  pose proof (gradient_WQ d dk _ WK WQ (transpose G) a b Fe' Ha Hb Gr') as Q.
  eapply is_derive_ext; [|exact Q]. intro x. apply Fe. intros i j. rewrite S. reflexivity.
Qed.
(** claim u-ratio. From d = 2 on, the quotient of the gradient of W_K by column b of W_Q, none of whose entries is 0, is
    the entry of G throughout column a of G only if that column is 0. *)
Theorem quotient_wrong d (G WQ : Mat) a b : (2 <= d)%nat -> (forall i, (i < d)%nat -> WQ i b <> 0) ->
  (forall i, (i < d)%nat -> Sum d (fun i => G i a * WQ i b) / WQ i b = G i a) -> forall i, (i < d)%nat -> G i a = 0.
Proof.
  intros Hd N H. set (s := Sum d (fun i => G i a * WQ i b)) in *.
  assert (E : forall i, (i < d)%nat -> G i a * WQ i b = s) by (intros i Hi; rewrite <- (H i Hi); field; apply N, Hi).
  assert (Z : s = INR d * s) by (unfold s at 1; rewrite (Sum_ext d _ (fun _ => s) E), Sum_const; reflexivity).
  assert (2 <= INR d) by (apply (le_INR 2), Hd). assert (s = 0) by nra.
  intros i Hi. rewrite <- (H i Hi), H1. unfold Rdiv. ring.
Qed.
(** The scores X U Y' c of n tokens X and m tokens Y, with the scale c. *)
Definition scores d c (X Y U : Mat) : Mat := fun s t => c * Sum d (fun i => Sum d (fun j => X s i * U i j * Y t j)).
(** claim u-infeasible. The gradient of U is X' (dL/dS) Y c: with c = 1 over the root of d_k, all d^2 entries
    from the gradient of the scores. *)
Theorem gradient_U d n m c X Y (L : Mat -> R) (dS U : Mat) : extensional L ->
  (forall D : Mat, is_derive (fun t => L (fun s r => scores d c X Y U s r + t * D s r)) 0 (Sum n (fun s => Sum m (fun r => dS s r * D s r)))) ->
  gradient d (fun V => L (scores d c X Y V)) U (fun i j => c * Sum n (fun s => Sum m (fun r => X s i * dS s r * Y r j))).
Proof.
  intros Le H D. pose proof (H (scores d c X Y D)) as Q.
  replace (Sum d (fun i => Sum d (fun j => c * Sum n (fun s => Sum m (fun r => X s i * dS s r * Y r j)) * D i j)))
    with (Sum n (fun s => Sum m (fun r => dS s r * scores d c X Y D s r))).
  - eapply is_derive_ext; [|exact Q]. intro t. apply Le. intros s r. unfold scores.
    rewrite (Rmult_comm t), Rmult_assoc, <- Rmult_plus_distr_l. f_equal. rewrite <- Sum_scal_r, <- Sum_plus.
    apply Sum_ext. intros i _. rewrite <- Sum_scal_r, <- Sum_plus. apply Sum_ext. intros. ring.
  - transitivity (Sum n (fun s => Sum m (fun r => Sum d (fun i => Sum d (fun j => c * (X s i * dS s r * Y r j) * D i j))))).
    + apply Sum_ext. intros s _. apply Sum_ext. intros r _. unfold scores.
      rewrite <- Rmult_assoc, <- Sum_scal. apply Sum_ext. intros i _. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
    + rewrite (Sum_ext n _ (fun s => Sum d (fun i => Sum m (fun r => Sum d (fun j => c * (X s i * dS s r * Y r j) * D i j))))) by (intros; apply Sum_swap).
      rewrite Sum_swap. apply Sum_ext. intros i _.
      rewrite (Sum_ext n _ (fun s => Sum d (fun j => Sum m (fun r => c * (X s i * dS s r * Y r j) * D i j)))) by (intros; apply Sum_swap).
      rewrite Sum_swap. apply Sum_ext. intros j _.
      rewrite <- Sum_scal, <- Sum_scal_r. apply Sum_ext. intros s _. rewrite <- Sum_scal, <- Sum_scal_r. reflexivity.
Qed.
(** claim u-mediant. Where W_Q is multiplied by tau and W_K divided by it, U stays, and so G. *)
Theorem scale_keeps_U dk WQ WK tau i j : tau <> 0 ->
  prodT dk (fun a b => tau * WQ a b) (fun a b => WK a b / tau) i j = prodT dk WQ WK i j.
Proof. intro N. apply Sum_ext. intros. field. exact N. Qed.
(** claim u-mediant. Of an entry q of W_Q and k of W_K, with the gradients dq and dk, the mediant is then that
    of the quotients rho_K = dk / q and rho_Q = dq / k with the weights tau^2 q and k; the gradients are dq /
    tau and tau dk. *)
Theorem mediant_scaled tau q k dq dk : tau <> 0 -> q <> 0 -> k <> 0 -> tau ^ 2 * q + k <> 0 ->
  (tau * dk + dq / tau) / (tau * q + k / tau) = (tau ^ 2 * q * (dk / q) + k * (dq / k)) / (tau ^ 2 * q + k).
Proof.
  intros Nt Nq Nk N. replace (tau * q + k / tau) with ((tau ^ 2 * q + k) / tau) by (field; exact Nt). field. repeat split; assumption.
Qed.
(** claim u-mediant. If the two quotients differ, it takes the values strictly between them and no others if q k
    > 0, and those strictly outside and no others if q k < 0. *)
Theorem mediant_values q k rK rQ v : q <> 0 -> k <> 0 -> rK <> rQ ->
  (exists tau, tau <> 0 /\ tau ^ 2 * q + k <> 0 /\ (tau ^ 2 * q * rK + k * rQ) / (tau ^ 2 * q + k) = v)
  <-> 0 < q * k * ((rK - v) * (v - rQ)).
Proof.
  intros Nq Nk N. split.
  - intros [tau [Nt [Nd E]]]. set (x := tau ^ 2) in *. assert (Px : 0 < x) by (apply pow2_gt_0, Nt).
    assert (Q : x * q * (rK - v) = k * (v - rQ)) by (rewrite <- E; field; exact Nd).
    assert (rK - v <> 0).
    { intro Z. rewrite Z, Rmult_0_r in Q. symmetry in Q. apply Rmult_integral in Q. destruct Q; [contradiction|]. apply N. lra. }
    replace (q * k * ((rK - v) * (v - rQ))) with (q * (rK - v) * (k * (v - rQ))) by ring. rewrite <- Q.
    replace (q * (rK - v) * (x * q * (rK - v))) with (x * (q * (rK - v)) ^ 2) by ring.
    apply Rmult_lt_0_compat; [exact Px|]. apply pow2_gt_0, Rmult_integral_contrapositive_currified; assumption.
  - intro P. assert (A : rK - v <> 0) by (intro Z; rewrite Z in P; lra).
    set (x := k * (v - rQ) / (q * (rK - v))).
    assert (Px : 0 < x).
    { unfold x. replace (k * (v - rQ) / (q * (rK - v))) with (q * k * ((rK - v) * (v - rQ)) / (q * (rK - v)) ^ 2) by (field; split; assumption).
      apply Rdiv_lt_0_compat; [exact P|]. apply pow2_gt_0, Rmult_integral_contrapositive_currified; assumption. }
    assert (D : x * q + k = k * (rK - rQ) / (rK - v)) by (unfold x; field; split; assumption).
    assert (Nd : x * q + k <> 0).
    { rewrite D. apply Rmult_integral_contrapositive_currified; [apply Rmult_integral_contrapositive_currified; [exact Nk|lra]|apply Rinv_neq_0_compat, A]. }
    exists (sqrt x). rewrite pow2_sqrt by lra. split; [apply Rgt_not_eq, sqrt_lt_R0, Px|split; [exact Nd|]].
    rewrite D. unfold x. field. repeat split; try assumption. lra.
Qed.
Lemma complement d dk s (W N Y : Mat) X i : (i < d)%nat ->
  (forall l, (l < d)%nat -> Sum dk (fun k => Y k i * W l k) + Sum s (fun a => N i a * N l a) = if Nat.eqb l i then 1 else 0) ->
  (forall k, (k < dk)%nat -> Sum d (fun l => W l k * X l) = 0) -> X i = Sum s (fun a => N i a * Sum d (fun l => N l a * X l)).
Proof.
  intros Hi C H.
  transitivity (Sum d (fun l => Sum dk (fun k => Y k i * (W l k * X l)) + Sum s (fun a => N i a * (N l a * X l)))).
  - rewrite <- (Sum_delta d i X Hi). apply Sum_ext. intros l Hl.
    rewrite (Sum_ext dk _ (fun k => Y k i * W l k * X l)), (Sum_ext s _ (fun a => N i a * N l a * X l)) by (intros; ring).
    rewrite !Sum_scal_r, <- Rmult_plus_distr_r, C by exact Hl. destruct (Nat.eqb l i); ring.
  - rewrite Sum_plus, !(Sum_swap d). rewrite (Sum_0 dk).
    + rewrite Rplus_0_l. apply Sum_ext. intros. apply Sum_scal.
    + intros k Hk. rewrite Sum_scal, H by exact Hk. ring.
Qed.
(** claim u-identifiability. G and G + E give the same two gradients if and only if E = N_Q C N_K' for some C.
    Here N_Q' W_Q = 0 and N_K' W_K = 0, and what is orthogonal to the columns of W_Q or W_K is spanned by those
    of N_Q or N_K: some W_Q Y_Q + N_Q N_Q' and W_K Y_K + N_K N_K' are the identity. *)
Theorem same_gradients d dk s r (G E WQ WK NQ NK YQ YK : Mat) :
  (forall k a, (k < dk)%nat -> (a < s)%nat -> Sum d (fun l => NQ l a * WQ l k) = 0) ->
  (forall k c, (k < dk)%nat -> (c < r)%nat -> Sum d (fun l => NK l c * WK l k) = 0) ->
  (forall i l, (i < d)%nat -> (l < d)%nat -> Sum dk (fun k => YQ k i * WQ l k) + Sum s (fun a => NQ i a * NQ l a) = if Nat.eqb l i then 1 else 0) ->
  (forall i l, (i < d)%nat -> (l < d)%nat -> Sum dk (fun k => YK k i * WK l k) + Sum r (fun c => NK i c * NK l c) = if Nat.eqb l i then 1 else 0) ->
  ((forall a b, (a < d)%nat -> (b < dk)%nat -> Sum d (fun j => (G a j + E a j) * WK j b) = Sum d (fun j => G a j * WK j b)) /\
   (forall a b, (a < d)%nat -> (b < dk)%nat -> Sum d (fun i => (G i a + E i a) * WQ i b) = Sum d (fun i => G i a * WQ i b)))
  <-> exists C : Mat, forall i j, (i < d)%nat -> (j < d)%nat -> E i j = Sum s (fun a => NQ i a * Sum r (fun c => C a c * NK j c)).
Proof.
  intros OQ OK IQ IK. split.
  - intros [HK HQ]. exists (fun a c => Sum d (fun l => NK l c * Sum d (fun m => NQ m a * E m l))). intros i j Hi Hj.
    assert (ZQ : forall k l, (k < dk)%nat -> (l < d)%nat -> Sum d (fun m => WQ m k * E m l) = 0).
    { intros k l Hk Hl. pose proof (HQ l k Hl Hk) as Q.
      rewrite (Sum_ext d (fun i => (G i l + E i l) * WQ i k) (fun i => G i l * WQ i k + WQ i k * E i l)) in Q by (intros; ring).
      rewrite Sum_plus in Q. lra. }
    assert (ZK : forall k m, (k < dk)%nat -> (m < d)%nat -> Sum d (fun l => WK l k * E m l) = 0).
    { intros k m Hk Hm. pose proof (HK m k Hm Hk) as Q.
      rewrite (Sum_ext d (fun j => (G m j + E m j) * WK j k) (fun j => G m j * WK j k + WK j k * E m j)) in Q by (intros; ring).
      rewrite Sum_plus in Q. lra. }
    rewrite (complement d dk s WQ NQ YQ (fun m => E m j) i Hi (fun l Hl => IQ i l Hi Hl) (fun k Hk => ZQ k j Hk Hj)).
    apply Sum_ext. intros a Ha. f_equal.
    rewrite (complement d dk r WK NK YK (fun l => Sum d (fun m => NQ m a * E m l)) j Hj (fun l Hl => IK j l Hj Hl)).
    + apply Sum_ext. intros. ring.
    + intros k Hk. rewrite (Sum_ext d _ (fun l => Sum d (fun m => NQ m a * (WK l k * E m l)))).
      * rewrite Sum_swap. apply Sum_0. intros m Hm. rewrite Sum_scal, ZK by assumption. ring.
      * intros l _. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
  - intros [C H]. split; intros a b Ha Hb.
    + rewrite (Sum_ext d _ (fun j => G a j * WK j b + Sum s (fun e => Sum r (fun c => NQ a e * C e c * (NK j c * WK j b))))).
      * rewrite Sum_plus, Sum_swap. rewrite (Sum_0 s); [ring|]. intros e _. rewrite Sum_swap. apply Sum_0. intros c Hc.
        rewrite Sum_scal, OK by assumption. ring.
      * intros j Hj. rewrite H, Rmult_plus_distr_r, <- Sum_scal_r by assumption. f_equal. apply Sum_ext. intros e _.
        rewrite Rmult_assoc, <- Sum_scal_r, <- Sum_scal. apply Sum_ext. intros. ring.
    + rewrite (Sum_ext d _ (fun i => G i a * WQ i b + Sum s (fun e => NQ i e * WQ i b * Sum r (fun c => C e c * NK a c)))).
      * rewrite Sum_plus, Sum_swap. rewrite (Sum_0 s); [ring|]. intros e He. rewrite Sum_scal_r, OQ by assumption. ring.
      * intros i Hi. rewrite H, Rmult_plus_distr_r, <- Sum_scal_r by assumption. f_equal. apply Sum_ext. intros. ring.
Qed.
(** claim u-identifiability. Different C give different E, if the columns of N_Q and of N_K are orthonormal: C =
    N_Q' E N_K. *)
Theorem C_determined d s r (E NQ NK C : Mat) a c : (a < s)%nat -> (c < r)%nat ->
  (forall a b, (a < s)%nat -> (b < s)%nat -> Sum d (fun i => NQ i a * NQ i b) = if Nat.eqb b a then 1 else 0) ->
  (forall a b, (a < r)%nat -> (b < r)%nat -> Sum d (fun i => NK i a * NK i b) = if Nat.eqb b a then 1 else 0) ->
  (forall i j, (i < d)%nat -> (j < d)%nat -> E i j = Sum s (fun a => NQ i a * Sum r (fun c => C a c * NK j c))) ->
  C a c = Sum d (fun i => Sum d (fun j => NQ i a * E i j * NK j c)).
Proof.
  intros Ha Hc OQ OK H.
  assert (K : forall e, Sum d (fun j => Sum r (fun f => C e f * NK j f) * NK j c) = C e c).
  { intro e. rewrite (Sum_ext d _ (fun j => Sum r (fun f => C e f * (NK j c * NK j f)))).
    - rewrite Sum_swap, <- (Sum_delta r c (C e) Hc). apply Sum_ext. intros f Hf. rewrite Sum_scal, OK by assumption. destruct (Nat.eqb f c); ring.
    - intros j _. rewrite <- Sum_scal_r. apply Sum_ext. intros. ring. }
  symmetry. rewrite (Sum_ext d _ (fun i => Sum s (fun e => NQ i a * NQ i e * C e c))).
  - rewrite Sum_swap, <- (Sum_delta s a (fun e => C e c) Ha). apply Sum_ext. intros e He. rewrite Sum_scal_r, OQ by assumption. destruct (Nat.eqb e a); ring.
  - intros i Hi. rewrite (Sum_ext d _ (fun j => Sum s (fun e => NQ i a * NQ i e * (Sum r (fun f => C e f * NK j f) * NK j c)))).
    + rewrite Sum_swap. apply Sum_ext. intros e _. rewrite Sum_scal, K. reflexivity.
    + intros j Hj. rewrite H, <- Sum_scal, <- Sum_scal_r by assumption. apply Sum_ext. intros. ring.
Qed.
(** claim u-pruning. If U has rank at most d_k and Z at most r, U - Z has rank at most r + d_k; if U - Z has
    rank at most r, Z has rank at most r + d_k. *)
Theorem pruned_rank d dk r (U Z : Mat) : rank_at_most dk d d U ->
  (rank_at_most r d d Z -> rank_at_most (r + dk) d d (fun i j => U i j - Z i j)) /\
  (rank_at_most r d d (fun i j => U i j - Z i j) -> rank_at_most (r + dk) d d Z).
Proof.
  intro HU. split; intro H; apply (rank_scal _ _ _ (-1)) in H.
  - apply (rank_ext _ _ _ (fun i j => -1 * Z i j + U i j)); [intros; ring|]. apply rank_add; assumption.
  - apply (rank_ext _ _ _ (fun i j => -1 * (U i j - Z i j) + U i j)); [intros; ring|].
    apply (rank_add r dk d d (fun i j => -1 * (U i j - Z i j))); assumption.
Qed.
(** claim u-pruning. If no entry of the diagonal of U is 0, zeroing the diagonal leaves a rank of at least d - d_k. *)
Theorem zeroed_diagonal d dk r (U : Mat) : rank_at_most dk d d U -> (forall i, (i < d)%nat -> U i i <> 0) ->
  rank_at_most r d d (fun i j => if Nat.eqb i j then 0 else U i j) -> (d <= r + dk)%nat.
Proof.
  intros HU N H. apply (diagonal_rank _ d (fun i => U i i) N).
  apply (proj2 (pruned_rank d dk r U (fun i j => if Nat.eqb i j then U i i else 0) HU)).
  revert H. apply rank_ext. intros i j _ _. destruct (Nat.eqb_spec i j); [subst; ring|ring].
Qed.
(** claim u-pruning. From 2 d d_k / (d - d_k) queries and keys on no number nu of nonzeros makes the scores
    cheaper than the factors do. *)
Theorem zeros_never_pay n m d dk nu : 0 < dk -> dk < d -> 0 <= nu -> 2 * d * dk / (d - dk) <= n -> 2 * d * dk / (d - dk) <= m ->
  (n + m) * d * dk + n * m * dk <= Rmin n m * nu + n * m * d.
Proof.
  intros Hk Hd Hnu Hn Hm. assert (P : 0 < d - dk) by lra. assert (K : 0 < d * dk) by nra.
  apply (Rmult_le_compat_r (d - dk)) in Hn, Hm; try lra.
  unfold Rdiv in Hn, Hm. rewrite Rmult_assoc, Rinv_l, Rmult_1_r in Hn, Hm by lra.
  assert (0 < n) by nra. assert (0 < m) by nra. assert (0 <= Rmin n m * nu) by (apply Rmult_le_pos; [apply Rmin_glb; lra|exact Hnu]).
  assert (2 * d * dk * m <= n * (d - dk) * m) by (apply Rmult_le_compat_r; lra).
  assert (2 * d * dk * n <= m * (d - dk) * n) by (apply Rmult_le_compat_r; lra). lra.
Qed.
